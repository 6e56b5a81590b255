import supertest from 'supertest';

export const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

/**
 * A browser that a person uses: it keeps its cookies, and sends those that are Secure too, as over https. (supertest alone
 * sends no `User-Agent`, so it never clicks.)
 */
export function browserOf(app: Parameters<typeof supertest.agent>[0]) {
  const agent = supertest.agent(app).set('User-Agent', firefox);
  const { jar } = agent;
  const getCookies = jar.getCookies.bind(jar);
  jar.getCookies = (access) => getCookies(Object.assign(access, { secure: true }));
  return agent;
}
