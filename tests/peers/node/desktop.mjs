// A workbin desktop on npm's `cometd`: runs the workload and prints each reply and message as one line of JSON.
//
//     node desktop.mjs cometd-3|cometd-9 BASE-URL USER PASSWORD WORKLOAD.json

import {readFileSync} from 'node:fs';
import {adapt} from 'cometd-nodejs-client';

const PATIENCE = 15000; // milliseconds for each step
const [library, base, user, password, workload] = process.argv.slice(2);

const cookies = new Map();
const jar = {
    storeCookie(_url, header, callback) {
        const [pair] = header.split(';');
        cookies.set(pair.slice(0, pair.indexOf('=')).trim(), pair.trim());
        callback();
    },
    retrieveCookies(_context, _url, callback) {
        callback(null, [...cookies.values()]);
    },
};
adapt({cookies: jar}); // before the import of the library, which looks for a browser's window
const loaded = await import(library);
const CometD = loaded.CometD ?? loaded.default.CometD; // version 9 is an ES module, version 3 is not

const csrf = {};
const arrived = {messages: 0, expected: 0, wake: () => {}};
let sent = 0;
let atOnce; // the step with several concurrent requests, whose messages have no fixed order

function printEvent(what) {
    process.stdout.write(JSON.stringify(what) + '\n');
}

async function sendRequest({step, get, post, body, anonymous}) {
    const number = ++sent;
    const headers = {Cookie: [...cookies.values()].join('; ')};
    if (!anonymous) {
        headers.Authorization = 'Basic ' + Buffer.from(`${user}:${password}`).toString('base64');
    }
    if (post) {
        Object.assign(headers, csrf, {'Content-Type': 'application/json'});
    }
    const reply = await fetch(base + (get || post), {method: post ? 'POST' : 'GET', headers, body: post && JSON.stringify(body)});
    const text = await reply.text();
    reply.headers.getSetCookie().forEach(header => jar.storeCookie(null, header, () => {}));
    const announced = reply.headers.get('X-CSRF-HEADER');
    if (announced) {
        csrf[announced] = reply.headers.get(announced);
    }
    const json = /json/.test(reply.headers.get('Content-Type'));
    printEvent({saw: 'reply', sent: number, step, status: reply.status, body: json ? JSON.parse(text) : text});
}

function within(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: no reply within ${PATIENCE} ms`)), PATIENCE);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function messages(count) {
    arrived.expected += count;
    return new Promise(resolve => {
        arrived.wake = () => arrived.messages >= arrived.expected && resolve();
        arrived.wake();
    });
}

function onMessage({channel, data}) {
    arrived.messages += 1;
    printEvent({saw: 'message', channel, data, atOnce});
    arrived.wake();
}

const cometd = new CometD();
cometd.unregisterTransport('websocket');
cometd.unregisterTransport('callback-polling');
cometd.configure({url: `${base}/api/v2/notifications`, logLevel: 'warn'});

const meta = call => new Promise((resolve, reject) => call(reply => {
    const {channel, subscription, successful, error} = reply;
    printEvent({saw: 'meta', channel, subscription, successful});
    return successful ? resolve() : reject(new Error(`${channel}: ${error}`));
}));

async function act(step) {
    if (step.handshake) {
        return meta(done => cometd.handshake(done));
    }
    if (step.subscribe) {
        let acknowledged;
        cometd.batch(() => {
            acknowledged = step.subscribe.map(topic => meta(done => cometd.subscribe(topic, onMessage, done)));
        });
        return Promise.all(acknowledged);
    }
    if (step.disconnect) {
        return meta(done => cometd.disconnect(done));
    }
    const requests = step.together || (step.get || step.post ? [step] : []);
    return Promise.all(requests.map(sendRequest));
}

async function run() {
    for (const step of JSON.parse(readFileSync(workload, 'utf8'))) {
        atOnce = step.together && step.step;
        const answers = messages(step.messages || 0);
        await within(Promise.all([act(step), answers]), step.step);
    }
}

run().then(() => process.exit(0), error => {
    console.error(`desktop: ${error.message}`);
    process.exit(1);
});
