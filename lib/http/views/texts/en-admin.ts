import { enActions } from './en-actions';
import { enStaff } from './en-staff';

/** The words of the staff's pages. */
export const enAdmin = {
  title: 'Referrals',
  ...enStaff,
  actions: enActions,
};
