// What the pages can do more with a script. Without it, everything works by links and forms.
(() => {
  'use strict';

  start(document);
  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-rf-copy]');
    if (button) void copy(button);
    const share = event.target.closest('[data-rf-share]');
    if (share) void navigator.share(JSON.parse(share.dataset.rfShare)).catch(() => undefined);
    const link = event.target.closest('[data-rf-part] a[href]');
    if (link && isPlainClick(event)) follow(event, link.href);
  });
  document.addEventListener('submit', (event) => {
    const form = event.target;
    // A field called `action` or `method`, as some filters are, hides the form's own property.
    if (event.defaultPrevented || form.getAttribute('method') !== 'get' || !form.closest('[data-rf-part]')) return;
    const url = new URL(form.getAttribute('action'), location.href);
    url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== '')).toString();
    follow(event, url.href);
  });
  addEventListener('popstate', () => {
    if (history.state?.rf) void show(location.href);
  });
  document.addEventListener('pointermove', pointAt);
  document.addEventListener('pointerleave', hideTips, true);

  /** Does what can be done only with a script, in a part of the page that is new. */
  function start(root) {
    for (const one of root.querySelectorAll('[data-rf-copy]')) one.hidden = !navigator.clipboard;
    for (const one of root.querySelectorAll('[data-rf-share]')) {
      one.hidden = !navigator.share;
      const links = document.getElementById(one.dataset.rfInstead);
      if (links && navigator.share) links.hidden = true;
    }
    for (const title of root.querySelectorAll('[data-rf-chart] title')) {
      title.parentElement.dataset.tip = title.textContent;
      title.remove(); // the browser's own tooltip would show too
    }
    showTimes(root);
  }

  /** Shows times in the browser's time zone, where the host has not said which the reader has. */
  function showTimes(root) {
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
    const styles = { day: { dateStyle: 'medium' }, time: { dateStyle: 'medium', timeStyle: 'short' } };
    for (const time of root.querySelectorAll('time[data-rf-time]')) {
      const locale = time.closest('[lang]')?.lang;
      const format = new Intl.DateTimeFormat(locale, { ...styles[time.dataset.rfTime], timeZone });
      time.textContent = format.format(new Date(time.dateTime));
    }
    for (const name of root.querySelectorAll('[data-rf-zone-name]')) name.textContent = timeZone.replaceAll('_', ' ');
  }

  async function copy(button) {
    const field = document.getElementById(button.dataset.rfCopy);
    try {
      await navigator.clipboard.writeText(field.value ?? field.textContent);
    } catch {
      field.select?.();
      return;
    }
    const said = button.querySelector('[data-rf-said]') ?? button;
    const before = said.textContent;
    if (before === button.dataset.rfDone) return;
    said.textContent = button.dataset.rfDone;
    setTimeout(() => (said.textContent = before), 2000);
  }

  function isPlainClick(event) {
    return event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  }

  function follow(event, href) {
    if (!document.querySelector('main#rf-main')) return; // a part of the host's page is not ours to replace
    event.preventDefault();
    history.replaceState({ rf: true }, '');
    show(href).then((isShown) => {
      if (isShown) history.pushState({ rf: true }, '', href);
    });
  }

  /** Shows another view of the same page in its place. Anything unexpected becomes an ordinary visit. */
  async function show(href) {
    try {
      const response = await fetch(href, { headers: { Accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      const main = page.getElementById('rf-main');
      if (!response.ok || response.redirected || !main) throw new Error('not the same page');
      const before = document.activeElement?.getAttribute?.('href');
      document.getElementById('rf-main').replaceWith(main);
      start(main);
      [...main.querySelectorAll('a[href]')].find((link) => link.getAttribute('href') === before)?.focus();
      return true;
    } catch {
      location.assign(href);
      return false;
    }
  }

  function pointAt(event) {
    const point = event.target.closest?.('[data-tip]');
    const plot = point?.closest('.rf-plot');
    if (!plot) return hideTips();
    let tip = plot.querySelector('.rf-tip');
    if (!tip) {
      tip = document.createElement('div');
      tip.className = 'rf-tip';
      plot.append(tip);
    }
    tip.hidden = false;
    tip.textContent = point.dataset.tip;
    const room = plot.getBoundingClientRect();
    const left = event.clientX - room.left + 12;
    tip.style.left = `${Math.min(left, room.width - tip.offsetWidth)}px`;
    tip.style.top = `${Math.max(0, event.clientY - room.top - tip.offsetHeight - 12)}px`;
  }

  function hideTips() {
    for (const tip of document.querySelectorAll('.rf-tip')) tip.hidden = true;
  }
})();
