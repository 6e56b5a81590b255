import type { Friend, Rows } from '../../types/figures';
import { Badge, DownloadCsv, Empty, Money, None, Pager, Section, Table, When } from '../views/components';
import { formatMoney } from '../views/formats';
import { useView } from '../views/view';
import { screen } from './screen';

type FriendRow = Omit<Friend, 'id'> & { friend: string | null };

/** Who has come through the user, and how far. */
export const friends = screen<Rows<FriendRow>>({
  name: 'friends',
  path: '/friends',
  title: ({ friends: { title } }) => title,
  load: ({ reader, view }) => reader.data.friends({ after: view.query.get('after') }),
  Body: ({ data: { rows, next } }) => {
    const view = useView();
    const { friends: words, figures: names } = view.texts;
    return (
      <Section lead={words.lead} aside={rows.length > 0 && <DownloadCsv href={view.url('/friends.csv')} />}>
        <Table
          caption={words.title}
          rows={rows}
          columns={[
            { key: 'friend', title: words.friend, cell: ({ friend }) => friend ?? words.someone },
            { key: 'since', title: words.since, cell: ({ since }) => <When time={since} isRelative /> },
            { key: 'state', title: words.state, cell: (row) => <State row={row} /> },
            { key: 'reward', title: words.reward, align: 'end', cell: ({ reward }) => <Reward reward={reward} /> },
            { key: 'earned', title: names.earned, align: 'end', cell: ({ earned }) => <Money amount={earned} /> },
          ]}
          empty={
            <Empty title={words.none}>
              <p>{words.noneText}</p>
              <p>
                <a href={view.url('/')}>{words.noneNext}</a>
              </p>
            </Empty>
          }
        />
        <Pager
          first={view.query.has('after') ? view.url('/friends') : null}
          next={next && view.url('/friends', { after: next })}
        />
      </Section>
    );
  },
});

function State({ row: { state, usage, isHeld } }: { row: FriendRow }) {
  const view = useView();
  const { friends: words } = view.texts;
  const progress =
    usage && Number(usage.recorded) < Number(usage.threshold)
      ? words.used(formatMoney(view, usage.recorded), formatMoney(view, usage.threshold))
      : null;
  return (
    <span class="rf-stack">
      <span>
        <Badge tone={state === 'customer' ? 'good' : 'neutral'}>
          {state === 'customer' ? words.customer : words.signedUp}
        </Badge>
      </span>
      {progress !== null && <small>{progress}</small>}
      {isHeld && <small>{words.held}</small>}
    </span>
  );
}

function Reward({ reward }: { reward: FriendRow['reward'] }) {
  const { friends: words } = useView().texts;
  if (!reward) return <None />;
  return (
    <span class="rf-stack">
      <Money amount={reward.amount} />
      <small>
        {reward.refused ? words.refused[reward.refused] : reward.at ? <When time={reward.at} /> : words.later}
      </small>
    </span>
  );
}
