// npm's `cometd` polls while the clock of the server is moved: prints `ready`, and at the end its processor time in seconds.
//
//     node cometd_day.mjs ENDPOINT NOTIFICATIONS

import {createRequire} from 'node:module';

const require = createRequire(new URL('../../tests/peers/node/package.json', import.meta.url));
require('cometd-nodejs-client').adapt();
const {CometD} = require('cometd-3');

const [url, expected] = process.argv.slice(2);
const cometd = new CometD();
let received = 0, before;
cometd.unregisterTransport('websocket');
cometd.configure({url, logLevel: 'error'});
cometd.handshake(() => cometd.subscribe('/work', () => { received++; }, () => {
    before = process.cpuUsage();
    console.log('ready');
}));
process.stdin.once('data', () => {
    const used = process.cpuUsage(before);
    if (received !== Number(expected)) { throw new Error(`received ${received} notifications; expected ${expected}`); }
    console.log((used.user + used.system) / 1e6);
    process.exit(0);
});
