import { Button } from '../views/components';
import { useView } from '../views/view';
import { QrCode } from './qr';

/** The user's link, to copy and to share. The page does not lead to it, so that no click is the user's own. */
export function Share({ url }: { url: string }) {
  const view = useView();
  const { share } = view.texts;
  const targets = shareTargets(url, share.message(url), share.subject);
  return (
    <div class="rf-share-link">
      <div class="rf-field rf-copy">
        <label for="rf-own-link">{share.yourLink}</label>
        <div class="rf-copy-row">
          <input id="rf-own-link" type="text" readOnly value={url} />
          <button
            type="button"
            class="rf-button rf-button-main"
            hidden
            data-rf-copy="rf-own-link"
            data-rf-done={share.copied}
          >
            <span data-rf-said="" aria-live="polite">
              {share.copy}
            </span>
          </button>
        </div>
      </div>
      <div class="rf-actions">
        <button
          type="button"
          class="rf-button"
          hidden
          data-rf-share={JSON.stringify({ title: share.subject, text: share.text, url })}
          data-rf-instead="rf-share-links"
        >
          {share.share}
        </button>
      </div>
      <ul class="rf-actions" id="rf-share-links" aria-label={share.shareBy}>
        {targets.map(({ name, href }) => (
          <li key={name}>
            <a class="rf-button rf-button-plain" href={href} target="_blank" rel="noopener noreferrer">
              {share.targets[name]}
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The link as a QR code, to show and to download. */
export function ShareQr({ url, code }: { url: string; code: string }) {
  const view = useView();
  const { share } = view.texts;
  return (
    <div class="rf-share-qr">
      <QrCode text={url} label={share.qr} />
      <Button href={view.url('/qr.svg', { code })}>{share.downloadQr}</Button>
    </div>
  );
}

type Target = 'mail' | 'whatsapp' | 'telegram' | 'facebook' | 'x';

function shareTargets(url: string, message: string, subject: string): { name: Target; href: string }[] {
  const to = (address: string, query: Record<string, string>): string =>
    // A mail program shows a `+` as it is.
    `${address}?${new URLSearchParams(query).toString().replaceAll('+', '%20')}`;
  return [
    { name: 'mail', href: to('mailto:', { subject, body: message }) },
    { name: 'whatsapp', href: to('https://wa.me/', { text: message }) },
    { name: 'telegram', href: to('https://t.me/share/url', { url, text: subject }) },
    { name: 'facebook', href: to('https://www.facebook.com/sharer/sharer.php', { u: url }) },
    { name: 'x', href: to('https://x.com/intent/post', { text: subject, url }) },
  ];
}
