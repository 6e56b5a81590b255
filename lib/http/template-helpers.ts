import type { Request, Response } from 'express';
import { invalid } from '../errors';
import { type FieldsOf, objectOf, readOf, textOf } from '../input';
import { lengths } from '../limits';
import { storedTarget } from '../tracking/targets';
import type { Tracking } from '../tracking/tracking';
import type { TargetRef } from '../types/referrals';
import { isListedTarget } from './create-input';
import { type CsrfField, csrfFieldOf } from './csrf-field';
import { escapeHtml } from './html';

/** The input of `createForm`: the referral that the form creates, and the form's button. */
export interface CreateFormInput {
  /** The destination of a click, as for `Referral.create`. */
  redirectTo: string;
  /** What the link is about, of a type that the option `targetTypes` lists. Default: nothing. */
  target?: TargetRef | null;
  /** Distinguishes referrals of the same user and destination, up to 100 characters. Default `''`. */
  label?: string;
  /** The text of the button. Default `'Get a referral link'`. */
  button?: string;
}

/**
 * The helpers in `res.locals.referrals`, which templates use as `referrals`. Handlebars' hash arguments
 * (`{{{referrals.createForm redirectTo="/"}}}`) work too.
 */
export interface TemplateHelpers {
  /**
   * Returns a form as escaped HTML. Submitting it creates a referral link for the signed-in user by a `POST` to the
   * router. The response is a page with the link. A page that loads `create-link.js` from the router shows the link
   * next to the form instead.
   *
   * @throws ReferralError `INVALID_INPUT` naming the field.
   */
  createForm(input: CreateFormInput | { hash: CreateFormInput }): string;
  /** Returns the text for an action from the option `actionDisplay`, or the action itself if the option has none. */
  actionDisplay(action: string): string;
}

const formFields: FieldsOf<CreateFormInput> = { redirectTo: true, target: true, label: true, button: true };

/**
 * Returns a function that makes `res.locals.referrals` for a request. The helpers are own properties, because
 * Handlebars does not read inherited ones.
 */
export function templateHelpers(tracking: Tracking): (req: Request, res: Response) => TemplateHelpers {
  const { settings } = tracking;
  function actionDisplay(action: string): string {
    const given = textOf('action', action, Infinity);
    return Object.hasOwn(settings.actionDisplay, given) ? settings.actionDisplay[given]! : given;
  }
  const path = settings.sitePath + settings.linkPath;

  function createForm(given: CreateFormInput | { hash: CreateFormInput }, csrf: CsrfField | null): string {
    const hash = typeof given === 'object' && given !== null ? readOf('createForm', given, 'hash') : undefined;
    const input = objectOf('createForm', (hash ?? given) as CreateFormInput, formFields);
    const target = storedTarget(settings.dataSource, input.target);
    if (target.targetType !== null && !isListedTarget(tracking, target.targetType))
      throw invalid('target', 'a target whose type the option targetTypes lists', target.targetType);
    const button = textOf('button', input.button ?? 'Get a referral link', Infinity);
    const fields: Record<string, string | null> = {
      redirect_to: textOf('redirectTo', input.redirectTo, lengths.redirectTo, 1),
      label: input.label === undefined ? null : textOf('label', input.label, lengths.label),
      target_type: target.targetType,
      target_id: target.targetId,
      ...(csrf && { [csrf.name]: csrf.value }),
    };
    const hidden = Object.entries(fields)
      .filter((field): field is [string, string] => field[1] !== null)
      .map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`);
    const submit = `<button type="submit">${escapeHtml(button)}</button>`;
    return `<form class="referral-create" method="post" action="${escapeHtml(path)}/">${hidden.join('')}${submit}</form>`;
  }

  return (req, res) => ({
    createForm: (input) => createForm(input, csrfFieldOf(settings.csrf(req, res))),
    actionDisplay,
  });
}
