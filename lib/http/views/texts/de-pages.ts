import type { enPages } from './en-pages';
import type { Words } from './words';

/** The words of the users' own pages, and those that all pages share (`kit`). */
export const dePages: Words<typeof enPages> = {
  name: 'Freunde einladen',
  signIn: {
    title: 'Melden Sie sich an, um Ihre Einladungen zu sehen',
    text: 'Ihren Link und Ihre Einnahmen sehen Sie, sobald Sie angemeldet sind.',
  },
  overview: {
    title: 'Freunde einladen',
  },
  kit: {
    skip: 'Zum Inhalt springen',
    menu: 'Menü',
    zone: 'Zeiten in der Zeitzone',
    none: 'keine Angabe',
    orderBy: (column) => `Nach „${column}“ ordnen`,
    pages: 'Seiten',
    firstPage: 'Erste Seite',
    nextPage: 'Nächste Seite',
    filter: 'Filtern',
    clearFilters: 'Zurücksetzen',
    downloadCsv: 'Als CSV herunterladen',
    asTable: 'Als Tabelle zeigen',
    day: 'Tag',
    step: 'Schritt',
    count: 'Anzahl',
    share: 'Anteil am Schritt davor',
    ofStepBefore: (share) => `${share} des Schritts davor`,
    notSent: 'Das wurde nicht ausgeführt',
    expired: 'Das Formular ist abgelaufen. Prüfen Sie Ihre Eingaben und senden Sie es noch einmal.',
    otherSite: 'Formulare können nur von Seiten dieser Website gesendet werden.',
    unreadable: 'Was gesendet wurde, ist nicht lesbar. Gehen Sie zurück und versuchen Sie es noch einmal.',
    notFound: 'Diese Seite gibt es nicht',
    notFoundText: 'Vielleicht ist sie umgezogen, oder die Adresse ist unvollständig.',
    wrong: 'Etwas ist schiefgegangen',
    wrongText: 'Es wurde nichts geändert. Versuchen Sie es gleich noch einmal.',
    away: 'Im Moment nicht erreichbar',
    awayText: 'Versuchen Sie es in einigen Sekunden noch einmal.',
  },
};
