import { renderToString } from 'preact-render-to-string';
import { encode } from 'uqr';

/** Modules of white around a code, as the standard asks for. */
const border = 4;

/** A link as a QR code: dark on white in both looks, because many readers do not know the reverse. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { size, data } = encode(text, { ecc: 'M', border });
  return (
    <svg
      xmlns="http://www.w3.org/2000/svg"
      class="rf-qr"
      viewBox={`0 0 ${size} ${size}`}
      role="img"
      aria-label={label}
      shape-rendering="crispEdges"
    >
      <rect width={size} height={size} fill="#ffffff" />
      <path fill="#000000" d={pathOf(data)} />
    </svg>
  );
}

/** The same as a file. */
export function qrFile(text: string): string {
  return `${renderToString(<QrCode text={text} label={text} />)}\n`;
}

/** A row of dark modules is one rectangle. */
function pathOf(rows: readonly boolean[][]): string {
  const parts: string[] = [];
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x++) {
      if (!row[x]) continue;
      const start = x;
      while (row[x + 1]) x++;
      const width = x + 1 - start;
      parts.push(`M${start} ${y}h${width}v1h-${width}z`);
    }
  });
  return parts.join('');
}
