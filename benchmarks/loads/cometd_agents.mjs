// Agents on npm's `cometd` in a closed loop: prints the measured figures as one line of JSON.
//
//     node cometd_agents.mjs BASE-URL AGENTS WARM-SECONDS SECONDS

import http from 'node:http';
import {createRequire} from 'node:module';

const require = createRequire(new URL('../../tests/peers/node/package.json', import.meta.url));
require('cometd-nodejs-client').adapt({cookies: {storeCookie(_u, _h, done) { done(); }, retrieveCookies(_c, _u, done) { done(null, []); }}});
const {CometD} = require('cometd-3');

const [base, agents, warm, seconds] = process.argv.slice(2);
const agent = new http.Agent({keepAlive: true, maxSockets: Infinity});
const body = JSON.stringify({operationName: 'RequestAgentStats', workbinType: 'Place', workbinOwner: 'Place1'});
let count = 0;

function post(client) {
    return new Promise((resolve, reject) => {
        const headers = {'Content-Type': 'application/json', 'Content-Length': body.length, Cookie: `JSESSIONID=${client}`};
        const request = http.request(`${base}/api/v2/workbins`, {method: 'POST', agent, headers}, reply => {
            const parts = [];
            reply.on('data', part => parts.push(part));
            reply.on('end', () => resolve(JSON.parse(Buffer.concat(parts)).referenceId));
        });
        request.on('error', reject);
        request.end(body);
    });
}

async function run() {
    const cometd = new CometD();
    cometd.unregisterTransport('websocket');
    cometd.configure({url: `${base}/api/v2/notifications`, logLevel: 'error'});
    await new Promise(resolve => cometd.handshake(resolve));
    const early = new Set();
    let awaited = null, wake = null;
    cometd.subscribe('/v2/me/workbins', message => {
        early.add(message.data.referenceId);
        if (early.has(awaited)) { wake(); }
    });
    for (;;) {
        awaited = await post(cometd.getClientId());
        if (!early.has(awaited)) { await new Promise(resolve => { wake = resolve; }); }
        early.delete(awaited);
        awaited = null;
        count++;
    }
}

for (let number = 0; number < Number(agents); number++) { run(); }
setTimeout(() => {
    const before = count, cpu = process.cpuUsage(), begin = performance.now();
    setTimeout(() => {
        const used = process.cpuUsage(cpu);
        const figures = {count: count - before, cpu: (used.user + used.system) / 1e6, wall: (performance.now() - begin) / 1e3};
        console.log('MEASURED ' + JSON.stringify({...figures, memory: 0, ramp: 0, errors: 0}));
        process.exit(0);
    }, 1000 * seconds);
}, 1000 * warm);
