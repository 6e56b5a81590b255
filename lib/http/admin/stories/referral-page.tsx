import type { ReferralCode } from '../../../entities/referral-code';
import { newest, type ReferralStory } from '../../../rewards/stories/referral-story';
import type { Stories } from '../../../rewards/stories/stories';
import { notFound } from '../../http-error';
import {
  Address,
  Button,
  Code,
  type Fact,
  Facts,
  Figure,
  Figures,
  LineChart,
  Money,
  Section,
  When,
} from '../../views/components';
import { formatMoney, formatNumber, formatShare } from '../../views/formats';
import type { Answer, PageCall } from '../../views/page-router';
import { useView, type View } from '../../views/view';
import { actionUrl } from '../actions/action-url';
import { lists } from '../lists/lists';
import { userPath } from '../paths';
import type { StaffFrame } from '../staff-frame';
import { type StoryList, storyLists, StorySection } from './story-list';
import { Weighed } from './weighed';

/** Answers with the story of a referral. */
export async function referralPage(stories: Stories, call: PageCall, frame: StaffFrame): Promise<Answer> {
  const id = /^\d{1,15}$/.test(call.params['id'] ?? '') ? Number(call.params['id']) : 0;
  const story = id === 0 ? null : await stories.referral(id);
  if (!story) throw notFound();
  const query = { referral: id };
  const parts = await storyLists(stories.lists, {
    channel: [lists.channels, { records: story.channel ? [story.channel] : [], next: null }, {}],
    signups: [lists.signups, story.signups, query],
    commissions: [lists.commissions, story.commissions, query],
    responses: [lists.responses, story.responses, query],
    reviews: [lists.reviews, story.reviews, query],
    audit: [lists.audit, { records: story.audit, next: null }, { subjectId: id }],
  });
  const hasMoreAudit = story.audit.length === newest;
  return {
    page: frame(
      {
        title: call.view.texts.admin.story.title(story.code.code),
        aside: <Actions story={story} />,
        children: <Story story={story} parts={{ ...parts, audit: { ...parts.audit, hasMore: hasMoreAudit } }} />,
      },
      call,
    ),
  };
}

type Parts = Readonly<Record<'channel' | 'signups' | 'commissions' | 'responses' | 'reviews' | 'audit', StoryList>>;

function Actions({ story: { code, channel } }: { story: ReferralStory }) {
  const view = useView();
  const words = view.texts.admin.do;
  const kind = channel ? 'channels' : 'codes';
  return (
    <>
      <Button href={actionUrl(view, `${kind}.update`, { id: code.id })}>{words[`${kind}.update`]}</Button>
      <Button href={actionUrl(view, `${kind}.delete`, { id: code.id })}>{words[`${kind}.delete`]}</Button>
    </>
  );
}

function Story({ story, parts }: { story: ReferralStory; parts: Parts }) {
  const view = useView();
  const { story: words, columns } = view.texts.admin;
  const { code, money } = story;
  return (
    <>
      <Section title={words.facts}>
        <Facts facts={factsOf(story, view)} />
      </Section>
      <Section title={words.terms}>
        <Terms code={code} />
      </Section>
      {story.channel && <StorySection list={parts.channel} title={words.coupon} without={['referral', 'owner']} />}
      <Section>
        <Figures>
          <Figure name={words.allClicks} value={formatNumber(view, story.clicks)} />
          <Figure name={words.allVisitors} value={formatNumber(view, story.visitors)} />
          <Figure name={columns.uses} value={formatNumber(view, code.uses)} />
          <Figure name={words.amount} value={<Money amount={money.amount} />} />
        </Figures>
        <LineChart
          title={words.clicks}
          days={story.days.map(({ day }) => day)}
          series={[
            { name: words.allClicks, values: story.days.map(({ clicks }) => clicks) },
            { name: words.allVisitors, values: story.days.map(({ visitors }) => visitors) },
          ]}
        />
      </Section>
      <StorySection list={parts.signups} title={words.signups} without={['referral']} />
      {story.signups.records.length > 0 && (
        <Section title={words.weighed}>
          {story.signups.records.map((signup) => (
            <Weighed key={signup.id} userId={signup.userId} weighed={signup.weighed} />
          ))}
        </Section>
      )}
      <Section title={words.money}>
        <Facts
          facts={[
            { name: words.commissions, value: formatNumber(view, money.commissions) },
            { name: words.earned, value: <Money amount={money.earned} /> },
            { name: words.amount, value: <Money amount={money.amount} /> },
            { name: words.held, value: <Money amount={money.held} /> },
            { name: words.pending, value: <Money amount={money.pending} /> },
            { name: words.inEarnOuts, value: <Money amount={money.inEarnOuts} /> },
          ]}
        />
      </Section>
      <StorySection list={parts.commissions} without={['referral']} />
      <StorySection list={parts.responses} without={['referral']} />
      <StorySection list={parts.reviews} without={['referral']} />
      <StorySection list={parts.audit} title={words.audit} without={['subject']} />
    </>
  );
}

function factsOf({ code, formerCodes }: ReferralStory, view: View): (Fact | null)[] {
  const { story: words, columns } = view.texts.admin;
  return [
    {
      name: columns.owner,
      value: code.userId === null ? words.siteItself : <a href={view.url(userPath(code.userId))}>{code.userId}</a>,
    },
    { name: columns.code, value: <Code>{code.code}</Code> },
    formerCodes.length === 0 ? null : { name: words.formerCodes, value: <Code>{formerCodes.join(', ')}</Code> },
    code.label === '' ? null : { name: columns.label, value: code.label },
    { name: columns.redirectTo, value: <Address url={code.redirectTo} /> },
    code.allowedUses === -1 ? null : { name: columns.allowedUses, value: formatNumber(view, code.allowedUses) },
    code.expiredAt === null ? null : { name: columns.expiredAt, value: <When time={code.expiredAt} isExact /> },
    { name: columns.createdAt, value: <When time={code.createdAt} isExact /> },
  ];
}

/** What the program of a referral gives. */
function Terms({ code }: { code: ReferralCode }) {
  const view = useView();
  const { story: words, columns } = view.texts.admin;
  if (code.programId === null) return <p class="rf-lead">{words.noTerms}</p>;
  const credit = (amount: string | null, days: number | null, type: string | null) =>
    amount === null ? null : `${formatMoney(view, amount)} ${words.forDays(days ?? 0)} (${type ?? ''})`;
  const friend = credit(code.referralCreditAmount, code.referralCreditDuration, code.referralCreditTypeName);
  const reward = credit(code.rewardCreditAmount, code.rewardCreditDuration, code.rewardCreditTypeName);
  const threshold = code.beforeRewardUsageThreshold;
  const isLater = threshold !== null && Number(threshold) > 0;
  return (
    <Facts
      facts={[
        { name: columns.program, value: code.programName },
        friend === null ? null : { name: words.friendGets, value: friend },
        reward === null
          ? null
          : {
              name: words.referrerGets,
              value: isLater ? `${reward}, ${words.onceUsed(formatMoney(view, threshold))}` : reward,
            },
        { name: words.commission, value: commissionOf(code, view) },
        code.commissionSignup === null
          ? null
          : { name: columns.perSignup, value: <Money amount={code.commissionSignup} /> },
      ]}
    />
  );
}

function commissionOf({ commissionRatio, commissionAmount }: ReferralCode, view: View): string {
  if (commissionAmount !== null) return formatMoney(view, commissionAmount);
  return commissionRatio === null ? view.texts.admin.story.general : formatShare(view, Number(commissionRatio));
}
