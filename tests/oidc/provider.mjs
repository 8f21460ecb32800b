// An identity provider for tests: node-oidc-provider with people and clients of its own. It writes its issuer's URL on
// the standard output when it listens, and ends when its standard input does.
//
// OIDC_MODULES: where it is installed. OIDC_PORT: where to listen (0: anywhere). OIDC_KEYS: a file with the private keys
// (a JWK set) to sign with, the first for access tokens; without, new ones are made. OIDC_TTL: seconds a token lives.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const env = process.env;
const { Provider } = await import(pathToFileURL(`${env.OIDC_MODULES}/oidc-provider/lib/index.js`).href);

const RESOURCE = 'urn:example:steelyard';
const SCOPES = ['models', 'entities', 'files', 'inference', 'secrets', 'auth', 'platform'].flatMap((area) =>
  ['read', 'write'].map((verb) => `${area}:${verb}`));
const PEOPLE = {
  alice: { email: 'alice@example.com', email_verified: true, groups: ['ml-team', 'everyone'] },
  bob: { email: 'bob@example.com', email_verified: true, groups: ['everyone'] },
  mallory: { email: 'alice@example.com', email_verified: false, groups: [] },
};
const ttl = Number(env.OIDC_TTL || 3600);
const made = () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'made' }] };
};
const jwks = env.OIDC_KEYS ? JSON.parse(readFileSync(env.OIDC_KEYS, 'utf8')) : made();
const algorithms = [...new Set(jwks.keys.map((key) => key.alg))];

const server = createServer();
server.listen(Number(env.OIDC_PORT || 0), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks,
    clients: [
      {
        client_id: 'steelyard-cli',
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: algorithms[0],
      },
      ...['repo:acme/models:ref:refs/heads/main', 'repo:evil/models:ref:refs/heads/main'].map((client_id) => ({
        client_id,
        client_secret: 'ci-secret-ci-secret-ci-secret-ci',
        token_endpoint_auth_method: 'client_secret_post',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: algorithms[0],
      })),
    ],
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...PEOPLE[id] }) }),
    extraTokenClaims: (ctx, token) => (token.accountId ? PEOPLE[token.accountId] : undefined),
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups'] },
    scopes: ['openid', 'offline_access', 'email', 'profile'],
    ttl: { AccessToken: ttl, ClientCredentials: ttl, IdToken: ttl, DeviceCode: 120, Grant: 3600, Session: 3600,
      Interaction: 600, RefreshToken: 3600 },
    enabledJWA: { idTokenSigningAlgValues: algorithms },
    cookies: { keys: ['of no importance'] },
    pkce: { required: () => false },
    rotateRefreshToken: true,
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: ['openid', 'email', 'profile', 'offline_access', ...SCOPES].join(' '),
          audience: 'steelyard',
          accessTokenFormat: 'jwt',
          accessTokenTTL: ttl,
          jwt: { sign: { alg: algorithms[0], kid: jwks.keys[0].kid } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  process.stdout.write(`${issuer}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();
