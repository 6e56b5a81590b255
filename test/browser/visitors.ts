import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { chromiumPath } from '../support/chromium';

const executablePath = chromiumPath();
if (executablePath === null) console.log('skipped: there is no Chromium (apt-get install chromium)');

/** `describe`, where there is a Chromium. */
export const describeInBrowser = executablePath === null ? describe.skip : describe;

/** A headless browser counts as a bot, whose clicks are not recorded. */
const userAgent =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

/** People with a browser each, who look at one site. */
export class Visitors {
  readonly #browser: Browser;
  readonly #origin: string;
  readonly problems: string[] = [];

  private constructor(browser: Browser, origin: string) {
    this.#browser = browser;
    this.#origin = origin;
  }

  static async of(origin: string): Promise<Visitors> {
    return new Visitors(await chromium.launch({ executablePath: executablePath! }), origin);
  }

  close(): Promise<void> {
    return this.#browser.close();
  }

  /** A browser with no cookies. Whatever its pages say to the console, or ask of another site, becomes a problem. */
  async context(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const context = await this.#browser.newContext({
      ...{ baseURL: this.#origin, userAgent, locale: 'en-US', timezoneId: 'Europe/Berlin', acceptDownloads: true },
      ...{ permissions: ['clipboard-read', 'clipboard-write'], reducedMotion: 'reduce' },
      ...options,
    });
    context.setDefaultTimeout(120_000);
    context.on('page', (page) => this.#watch(page));
    return context;
  }

  async page(options: BrowserContextOptions = {}): Promise<Page> {
    return (await this.context(options)).newPage();
  }

  #watch(page: Page): void {
    const note = (text: string): void => void this.problems.push(`${page.url()}: ${text}`);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()))
        note(`${message.type()}: ${message.text()} ${message.location().url}`);
    });
    page.on('pageerror', (error) => note(`error: ${error.message}`));
    page.on('dialog', (dialog) => {
      note(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== this.#origin && protocol !== 'data:') note(`a request to ${request.url()}`);
    });
  }
}
