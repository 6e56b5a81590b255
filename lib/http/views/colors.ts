import type { PageColor, PageColors } from '../../types/pages';

/** Returns the host's colours as CSS, to be put after `views.css`. */
export function colorsCss(colors: PageColors): string {
  const given = Object.entries(colors) as [keyof PageColors, PageColor][];
  if (given.length === 0) return '';
  const light = given.map(([name, color]) => `--${name}:${typeof color === 'string' ? color : color.light};`);
  const dark = given.map(([name, color]) => `--${name}:${typeof color === 'string' ? color : color.dark};`);
  return [
    `.rf{${light.join('')}${onAccent(colors.accent, 'light')}}`,
    `@media (prefers-color-scheme: dark){.rf{${dark.join('')}${onAccent(colors.accent, 'dark')}}}`,
  ].join('\n');
}

/** The colour of words on the accent: the one of black and white that stands out more. */
function onAccent(accent: PageColor | undefined, look: 'light' | 'dark'): string {
  if (accent === undefined) return '';
  const light = luminanceOf(typeof accent === 'string' ? accent : accent[look]);
  return `--on-accent:${(light + 0.05) / 0.05 > 1.05 / (light + 0.05) ? '#000000' : '#ffffff'};`;
}

/** The relative luminance of a colour, from 0 to 1, as WCAG 2 defines it. */
function luminanceOf(color: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
