import { isStorable } from '../../../input';
import { lengths } from '../../../limits';
import type { Stories } from '../../../rewards/stories/stories';
import { userLists, type UserStory } from '../../../rewards/stories/user-story';
import { notFound } from '../../http-error';
import { Badge, type Fact, Facts, Money, Section, When } from '../../views/components';
import { formatNumber } from '../../views/formats';
import type { Answer, PageCall } from '../../views/page-router';
import { useView, type View } from '../../views/view';
import type { RowAction } from '../lists/list';
import { RowActions } from '../lists/list-table';
import { lists } from '../lists/lists';
import { userPath } from '../paths';
import type { StaffFrame } from '../staff-frame';
import { type StoryList, storyLists, type StoryPart, StorySection } from './story-list';
import { Weighed } from './weighed';

/** Answers with the story of a user. */
export async function userPage(stories: Stories, call: PageCall, frame: StaffFrame): Promise<Answer> {
  const userId = call.params['user'] ?? '';
  const story = userId.length <= lengths.id && isStorable(userId) ? await stories.user(userId) : null;
  if (!story) throw notFound();
  const { asReferee, asReferrer } = story.explanation;
  const reviews = new Map([...asReferee.reviews, ...asReferrer.reviews].map((review) => [review.id, review]));
  const own = userLists.map((name): [string, StoryPart] => {
    const filter = filterOf[name as keyof typeof filterOf] ?? 'user';
    return [name, [lists[name], story.lists[name], { [filter]: story.userId }]];
  });
  const flagged = [...reviews.values()].sort((a, b) => b.id - a.id);
  const { flagged: shownReviews, ...parts } = await storyLists<string>(stories.lists, {
    ...Object.fromEntries(own),
    flagged: [lists.reviews, { records: flagged, next: null }, {}],
  });
  return {
    page: frame(
      {
        title: call.view.texts.admin.user.title(story.userId),
        children: <Story story={story} reviews={shownReviews!} parts={Object.values(parts)} />,
      },
      call,
    ),
  };
}

/** The filters that find what belongs to a user, where they are not called `user`. */
const filterOf = { commissions: 'referrer', purchases: 'buyer' } as const;

function Story({ story, reviews, parts }: { story: UserStory; reviews: StoryList; parts: readonly StoryList[] }) {
  const view = useView();
  const { user: words } = view.texts.admin;
  const { signup } = story.explanation.asReferee;
  const account = accountFacts(story, view);
  return (
    <>
      <Section title={words.told}>
        <ul class="rf-sentences" lang="en">
          {story.explanation.sentences.map((sentence, place) => (
            <li key={place}>{sentence}</li>
          ))}
        </ul>
      </Section>
      {signup && (
        <Section title={view.texts.admin.story.weighed}>
          <Weighed userId={signup.userId} weighed={signup.weighed} />
        </Section>
      )}
      <Section title={words.account}>
        <Facts facts={account} />
      </Section>
      <Section title={words.doSomething}>
        <RowActions actions={actionsFor(story)} />
      </Section>
      {reviews.shown.rows.length > 0 && <StorySection list={reviews} title={words.reviews} />}
      {parts
        .filter(({ shown }) => shown.rows.length > 0)
        .map((part) => (
          <StorySection key={part.shown.list.name} list={part} without={['user', 'owner', 'buyer']} />
        ))}
    </>
  );
}

function accountFacts({ explanation, balance }: UserStory, view: View): (Fact | null)[] {
  const { user: words, columns, words: states } = view.texts.admin;
  const { asReferee, asReferrer } = explanation;
  const { signup, code } = asReferee;
  const { account, totals, suspension } = asReferrer;
  const through = signup && {
    name: words.signedUp,
    value:
      signup.referralId === null ? (
        words.nobody
      ) : (
        <a href={view.url(`/referrals/${signup.referralId}`)}>{code ?? `#${signup.referralId}`}</a>
      ),
  };
  const referrer = signup?.referrerId
    ? { name: columns.referrer, value: <a href={view.url(userPath(signup.referrerId))}>{signup.referrerId}</a> }
    : null;
  const credit = { name: words.balance, value: <Money amount={balance} /> };
  if (!account || !totals) return [through, referrer, credit, { name: words.account, value: words.noAccount }];
  return [
    suspension && {
      name: columns.state,
      value: <Badge tone="bad">{suspension.isBan ? states.accountState.banned : states.accountState.suspended}</Badge>,
    },
    through,
    referrer,
    { name: columns.mode, value: states.mode[account.mode] },
    account.payoutEmail === null ? null : { name: columns.payoutEmail, value: account.payoutEmail },
    account.minimum === null ? null : { name: columns.minimum, value: <Money amount={account.minimum} /> },
    { name: columns.usersReferred, value: formatNumber(view, totals.usersReferred) },
    { name: columns.customers, value: formatNumber(view, totals.usersUpgraded) },
    credit,
    { name: words.available, value: <Money amount={totals.creditsEarned} /> },
    { name: words.total, value: <Money amount={totals.totalCreditsEarned} /> },
    { name: words.payoutsAvailable, value: <Money amount={totals.payoutsEarned} /> },
    { name: words.payoutsTotal, value: <Money amount={totals.totalPayoutsEarned} /> },
    { name: words.nextPayout, value: <When time={totals.nextEarnOutAt} isExact /> },
    { name: columns.createdAt, value: <When time={account.createdAt} isExact /> },
  ];
}

/** What staff can do with a user, as the user is now. */
function actionsFor({ userId: user, explanation: { asReferee, asReferrer } }: UserStory): RowAction[] {
  const { account } = asReferrer;
  const names = [
    'commissions.adjust',
    'credits.create',
    'credits.adjust',
    ...(asReferee.signup ? ['signups.reassign'] : []),
    ...(account ? ['accounts.update'] : []),
    account?.suspendedAt ? 'accounts.reinstate' : 'accounts.suspend',
    ...(account?.bannedAt ? [] : ['accounts.ban']),
    'undoRefund',
    'coupons.giveBack',
  ];
  return [
    ...names.map((name) => ({ name, params: { user } })),
    { name: 'users.merge', params: { from: user } },
    { name: 'users.rename', params: { from: user } },
  ];
}
