// A real OpenID provider for the tests: node-oidc-provider, with its own log-in pages. Its settings come as JSON in
// the environment; POST /test/keys gives it another signing key, POST /test/token has the next ID token replaced by
// one of the test's own making, and POST /test/accounts says what is claimed of whom.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const given = JSON.parse(process.env.PROVIDER);
let accounts = given.accounts;
let forged = null;

function made(keys) {
  const provider = new Provider(given.issuer, {
    clients: given.clients,
    jwks: { keys },
    cookies: { keys: ['only for tests'] },
    pkce: { required: () => true },
    conformIdTokenClaims: true, // the claims of scopes are at userinfo alone
    claims: { openid: ['sub'], profile: ['preferred_username', 'name'], email: ['email', 'email_verified'] },
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts[id] }) }),
  });
  provider.use(async (ctx, next) => {
    await next();
    if (forged !== null && ctx.path === '/token' && ctx.body?.id_token) {
      ctx.body.id_token = forged;
      forged = null;
    }
  });
  return provider.callback();
}

let answer = made(given.keys);

async function body(request) {
  let text = '';
  for await (const part of request) text += part;
  return JSON.parse(text);
}

createServer(async (request, response) => {
  if (!request.url.startsWith('/test/')) return answer(request, response);
  const said = await body(request);
  if (request.url === '/test/keys') answer = made(said);
  if (request.url === '/test/token') forged = said;
  if (request.url === '/test/accounts') accounts = said;
  response.end();
}).listen(given.port, '127.0.0.1', () => console.log('listening'));
