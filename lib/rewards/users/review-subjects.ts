import type { Database } from '../../database/database';
import type { Placeholders } from '../../database/named-parameters';

/**
 * Names the subjects of reviews anew after a user got another id, as `findings.ts` names them. Of two reviews that then are
 * of the same subject and rule, one keeps the name, and the other gets one that no finding has: both stay. It keeps it who
 * has it already, so that no row takes a name that another one still has.
 */
export const reviewSubjects =
  ({ reviews }: Database['tables']) =>
  ($: Placeholders<{ into: string }>): string => `
    WITH
    -- The reviews of the user, with the names of their subjects.
    named AS (
      SELECT r.id, r.rule, r.subject AS old, CASE
          WHEN r.subject LIKE 'account %' THEN 'account ' || r.user_id
          ELSE 'pair [' || coalesce(to_json(r.user_id)::text, 'null') || ',' || to_json(r.referee_id) || ']'
        END AS subject
      FROM ${reviews} r
      WHERE ${$.into} IN (r.user_id, r.referee_id) AND (r.subject LIKE 'account %' OR r.subject LIKE 'pair %')
    ),
    numbered AS (
      SELECT *, row_number() OVER (
          PARTITION BY rule, subject ORDER BY old = subject DESC, old LIKE '% merged ' || id, id
        ) AS position
      FROM named
    )
    UPDATE ${reviews} r SET subject = n.subject || CASE WHEN n.position > 1 THEN ' merged ' || n.id ELSE '' END
    FROM numbered n WHERE r.id = n.id AND (n.position > 1 OR r.subject <> n.subject)`;
