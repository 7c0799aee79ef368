// The npm package `oidc-provider`, a certified server that knows nothing of Postrider. PKCE is required, refresh tokens are
// rotated, and one that is used twice ends its whole grant.
//
// REDIRECT_URI and CLIENT_SECRET come from the environment. It writes JSON lines: first `{"port": N}`, then one for each answer of
// the token endpoint, `{"grant": "…", "status": N, "answer": {…}}`, and for each of the revocation endpoint, `{"revoked": HINT, "status": N}`.

import http from "node:http";
import { Provider } from "oidc-provider";

const { REDIRECT_URI, CLIENT_SECRET } = process.env;

function line(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

// Its development warnings would stand between our lines.
console.info = console.warn = console.log = (...words) => process.stderr.write(`${words.join(" ")}\n`);

const server = http.createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const { port } = server.address();

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "web app",
      client_secret: CLIENT_SECRET,
      redirect_uris: [REDIRECT_URI],
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: "client_secret_basic",
    },
    {
      client_id: "service",
      client_secret: CLIENT_SECRET,
      redirect_uris: [],
      response_types: [],
      grant_types: ["client_credentials"],
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  scopes: ["openid", "api"],
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
  },
  pkce: { methods: ["S256"], required: () => true },
  issueRefreshToken: async () => true,
  rotateRefreshToken: () => true,
  findAccount: async (_, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  cookies: { keys: ["of a test"] },
  ttl: {
    AccessToken: 600,
    ClientCredentials: 600,
    RefreshToken: 3600,
    AuthorizationCode: 60,
    Grant: 3600,
    IdToken: 600,
    Interaction: 600,
    Session: 600,
  },
});

provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route === "token") {
    line({ grant: ctx.oidc.params?.grant_type, status: ctx.status, answer: ctx.body });
  }
  if (ctx.oidc?.route === "revocation") {
    line({ revoked: ctx.oidc.params?.token_type_hint, status: ctx.status });
  }
});

server.on("request", provider.callback());
process.stdin.on("end", () => process.exit(0)).resume();
line({ port });
