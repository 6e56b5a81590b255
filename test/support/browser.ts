import supertest from 'supertest';

export const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

/** A browser that a person uses: it keeps its cookies. (supertest alone sends no `User-Agent`, so it never clicks.) */
export const browserOf = (app: Parameters<typeof supertest.agent>[0]) =>
  supertest.agent(app).set('User-Agent', firefox);
