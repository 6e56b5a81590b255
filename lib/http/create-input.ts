import { ReferralError } from '../errors';
import { lengths } from '../limits';
import { targetOfType } from '../tracking/targets';
import type { Tracking } from '../tracking/tracking';
import type { UserRef } from '../types/common';
import type { CreateReferralInput, TargetRef } from '../types/referrals';
import { badField, badFields } from './http-error';

const noSuchType = 'There is no such type of target.';
const noSuchTarget = 'There is no such target.';

type PostedFields = Readonly<Record<string, unknown>>;

/**
 * The field that `POST` takes for each field of `Referral.create`, by the name that its errors have, and what the person
 * who has sent the form is told. The error itself is written for who calls `Referral.create`.
 */
const postedFields: Readonly<Record<string, readonly [field: string, message: string]>> = {
  'redirectTo': [
    'redirect_to',
    `The link must lead to a page of this site, in up to ${lengths.redirectTo} characters.`,
  ],
  'label': ['label', `Up to ${lengths.label} characters, without control characters.`],
  'target.type': ['target_type', noSuchType],
  'target.id': ['target_id', noSuchTarget],
};

/** Whether the option `targetTypes` lists this type, so that `POST` accepts it. */
export function isListedTarget({ settings }: Tracking, type: string): boolean {
  return settings.targetTypes.some(
    (listed) => (typeof listed === 'string' ? listed : settings.dataSource.getMetadata(listed).name) === type,
  );
}

/**
 * Returns the posted fields as input of `Referral.create`.
 *
 * @throws HttpError 400 with a message for each wrong field.
 */
export async function createInput(
  tracking: Tracking,
  fields: PostedFields,
  user: UserRef,
): Promise<CreateReferralInput> {
  const { redirect_to: redirectTo, label, target_type: type, target_id: id } = fields;
  const problems = problemsOf(tracking, fields);
  if (Object.keys(problems).length > 0) throw badFields(problems);
  const hasTarget = !isBlank(type);
  const target = hasTarget ? await targetOf(tracking, type as string, id) : null;
  if (hasTarget && !target) throw badField('target_id', noSuchTarget);
  return { user, redirectTo: redirectTo as string, label: label as string | undefined, target };
}

/**
 * Turns an `INVALID_INPUT` of `Referral.create` into a 400 for the posted field. Returns every other error unchanged.
 */
export function asPostedFieldError(error: unknown): unknown {
  if (!(error instanceof ReferralError) || error.status !== 400) return error;
  const posted = postedFields[error.field ?? ''];
  return posted === undefined ? error : badField(...posted);
}

function problemsOf(tracking: Tracking, fields: PostedFields): Record<string, string> {
  const { redirect_to: redirectTo, label, target_type: type, target_id: id } = fields;
  const problems: Record<string, string> = {};
  if (typeof redirectTo !== 'string' || redirectTo === '') problems['redirect_to'] = 'This field is required, as text.';
  if (label !== undefined && typeof label !== 'string') problems['label'] = 'This field must be text.';
  if (isBlank(type)) {
    if (!isBlank(id)) problems['target_type'] = 'This field is required with target_id.';
    return problems;
  }
  if (typeof type !== 'string' || !isListedTarget(tracking, type)) problems['target_type'] = noSuchType;
  if (isBlank(id)) problems['target_id'] = 'This field is required with target_type.';
  return problems;
}

/**
 * Returns the target of a type and id. For an entity it loads the row, because the ids `7` and `07` can name the same
 * row; null if there is none. For a type that is not an entity, the id is used as it is.
 */
async function targetOf(tracking: Tracking, type: string, id: unknown): Promise<TargetRef | null> {
  if (typeof id !== 'string' && typeof id !== 'number') return null;
  const { dataSource } = tracking.settings;
  if (!dataSource.entityMetadatas.some(({ name }) => name === type)) return { type, id };
  const entity = await tracking.calls.loadTarget({ targetType: type, targetId: String(id) }, {});
  return entity && targetOfType(dataSource, type, entity);
}

/** Whether a field was left out. A form sends an empty text for it. */
function isBlank(value: unknown): boolean {
  return value === undefined || value === '';
}
