// An independent OpenID provider (oidc-provider) for the tests of signing in.
// It shares no code with Gatehouse, so that both sides cannot be wrong in the same way.
//
//   node openidprovider.mjs [port] [--until-eof]
//
// Port 0, the default, takes a free one. One line of JSON on stdout says where it is.
// With --until-eof it ends when its standard input does, so that it never outlives a test.
// Clients register themselves at /reg (OpenID Connect Dynamic Client Registration 1.0).
// Anybody signs in as whoever they say, with any password. Listens on loopback only.
import {createServer} from "node:http";
import process from "node:process";
import {Provider} from "oidc-provider";

const port = Number(process.argv[2]?.match(/^\d+$/)?.[0] ?? 0);
const server = createServer();

server.listen(port, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(url, {
    claims: {openid: ["sub", "sid"], email: ["email", "email_verified"], profile: ["name", "preferred_username"]},
    features: {
      backchannelLogout: {enabled: true},
      devInteractions: {enabled: true},
      registration: {enabled: true},
      rpInitiatedLogout: {enabled: true},
    },
    // Its own keeps off loopback addresses, where Gatehouse is.
    fetch: (address, {dispatcher: _, ...options}) => fetch(address, options),
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({sub: id, email: `${id}@corp.example`, email_verified: true, name: id, preferred_username: id}),
    }),
    pkce: {required: () => true},
  });
  provider.on("server_error", (_ctx, error) => console.error(error));
  provider.on("backchannel.error", (_ctx, error) => console.error(error));
  server.on("request", provider.callback());
  console.log(JSON.stringify({url}));
});

if (process.argv.includes("--until-eof")) {
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
}
