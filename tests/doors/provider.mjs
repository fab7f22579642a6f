// A real OpenID provider (npm oidc-provider) for tests: people sign in by themselves, everything else is the protocol.
//   node provider.mjs ISSUER REDIRECT AUDIENCE KEY     in the folder that holds node_modules
// Clients: photospine (secret photospine-secret, REDIRECT), viewer (public, PKCE, http://127.0.0.1:9/return),
// backend (secret backend-secret, client credentials). Access tokens are JWT (at+jwt) for AUDIENCE; the viewer's have
// the SMART launch context patient "anna". KEY names the key; another name is another key.
import crypto from 'crypto';
import http from 'http';
import { createRequire } from 'module';
import { pathToFileURL } from 'url';

const { default: Provider } = await import(pathToFileURL(createRequire(process.cwd() + '/').resolve('oidc-provider')));
const [issuer, redirect, audience, kid] = process.argv.slice(2);
const key = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const scope = 'patient/*.rs user/*.rs user/ImagingStudy.rs system/*.rs';
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'photospine', client_secret: 'photospine-secret', redirect_uris: [redirect],
      post_logout_redirect_uris: [redirect.replace('/login/return', '/login')],
    },
    {
      client_id: 'viewer', token_endpoint_auth_method: 'none', redirect_uris: ['http://127.0.0.1:9/return'],
      application_type: 'native',
    },
    {
      client_id: 'backend', client_secret: 'backend-secret', redirect_uris: [], response_types: [],
      grant_types: ['client_credentials'],
    },
  ],
  scopes: ['openid', 'launch/patient'],
  pkce: { required: () => true },
  cookies: { keys: ['test'] },
  jwks: { keys: [{ ...key, use: 'sig', alg: 'RS256', kid }] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx) => (ctx.oidc.client.clientId === 'photospine' ? undefined : audience),
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope, audience, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: (ctx, token) => (token.clientId === 'viewer' ? { patient: 'anna' } : {}),
  interactions: { url: (ctx, interaction) => `/auto/${interaction.uid}` },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
const answer = provider.callback();

async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (details.prompt.name === 'login') {
    await provider.interactionFinished(request, response, { login: { accountId: 'dr-test' } });
    return;
  }
  const grant = new provider.Grant({ accountId: details.session.accountId, clientId: details.params.client_id });
  grant.addOIDCScope('openid launch/patient');
  grant.addResourceScope(audience, details.params.scope);
  const result = { consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

http
  .createServer((request, response) => {
    if (!request.url.startsWith('/auto/')) {
      answer(request, response);
      return;
    }
    interact(request, response).catch((error) => {
      response.writeHead(500);
      response.end(String(error));
    });
  })
  .listen(Number(new URL(issuer).port), '127.0.0.1', () => console.log('ready'));
