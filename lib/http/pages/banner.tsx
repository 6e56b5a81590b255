import { formatShortMoney } from '../views/formats';
import { useView } from '../views/view';

export interface BannerData {
  /** The name of who invited; null where it is not known. */
  inviter: string | null;
  /** The amount that the visitor gets at the sign-up; null for nothing. */
  amount: string | null;
  /** Whether somebody invited, and not the site itself. */
  isPersonal: boolean;
}

/** Who invited, and what the visitor gets. */
export function Banner({ data: { inviter, amount, isPersonal } }: { data: BannerData }) {
  const view = useView();
  const { banner: words } = view.texts;
  const gets = amount === null ? words.welcome : words.youGet(formatShortMoney(view, amount));
  return (
    <div class="rf" lang={view.locale}>
      <aside class="rf-banner" aria-label={words.label}>
        {isPersonal && <strong>{inviter === null ? words.invited : words.invitedBy(inviter)}</strong>}
        <span>{gets}</span>
      </aside>
    </div>
  );
}
