// npm's `cometd` polls: prints `ready`, and at the end its processor time in seconds.
//
//     node cometd_day.mjs ENDPOINT day NOTIFICATIONS      until the first line of its input
//     node cometd_day.mjs ENDPOINT pace POLLS             and prints the seconds that so many polls took

import {createRequire} from 'node:module';

const require = createRequire(new URL('../../tests/peers/node/package.json', import.meta.url));
require('cometd-nodejs-client').adapt();
const {CometD} = require('cometd-3');

const [url, what, count] = process.argv.slice(2);
const cometd = new CometD();
let received = 0, polls = 0, before, begin;

function end(seconds) {
    console.log(seconds);
    process.exit(0);
}

cometd.unregisterTransport('websocket');
cometd.configure({url, logLevel: 'error'});
cometd.handshake(() => cometd.subscribe('/work', () => { received++; }, () => {
    before = process.cpuUsage();
    begin = performance.now();
    console.log('ready');
    if (what === 'pace') {
        cometd.addListener('/meta/connect', () => {
            if (++polls === Number(count)) { end((performance.now() - begin) / 1e3); }
        });
    }
}));
process.stdin.once('data', () => {
    const used = process.cpuUsage(before);
    if (received !== Number(count)) { throw new Error(`received ${received} notifications; expected ${count}`); }
    end((used.user + used.system) / 1e6);
});
