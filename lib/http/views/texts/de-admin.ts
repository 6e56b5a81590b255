import { deActions } from './de-actions';
import { deStaff } from './de-staff';
import type { enAdmin } from './en-admin';
import type { Words } from './words';

/** The words of the staff's pages. */
export const deAdmin: Words<typeof enAdmin> = {
  title: 'Empfehlungen',
  ...deStaff,
  actions: deActions,
};
