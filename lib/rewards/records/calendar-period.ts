/** SQL: the name of the period of a kind at a time, in UTC whatever the time zone of the session is. */
export function periodAt(kind: string, at: string): string {
  const utc = `${at} AT TIME ZONE 'UTC'`;
  return `CASE ${kind} WHEN 'month' THEN to_char(${utc}, 'YYYY-MM') WHEN 'quarter' THEN to_char(${utc}, 'YYYY-"Q"Q')
          WHEN 'year' THEN to_char(${utc}, 'YYYY') ELSE 'all' END`;
}
