// Two users at once on a third-party library: prints for each user the replies and the messages of each channel, as JSON.
//
//     node push_client.mjs faye-polling|faye-websocket|cometd-websocket|jsforce BASE-URL

import {randomBytes} from 'node:crypto';
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url);
const PATIENCE = 15000; // milliseconds for each step
const [library, base] = process.argv.slice(2);
const tokens = Object.fromEntries(['alice', 'bob'].map(user => [user, `00D!${user}.${randomBytes(12).toString('hex')}`]));
const printed = {};

class User {
    constructor(name) {
        this.name = name;
        this.token = tokens[name];
        this.seen = printed[name] = {replies: [], messages: {}};
        this.waiting = () => {};
    }

    receive(channel, data) {
        (this.seen.messages[channel] ??= []).push(data);
        this.waiting();
    }

    async send(method, path, body) {
        const headers = {Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json'};
        const reply = await fetch(base + path, {method, headers, body: body && JSON.stringify(body)});
        this.seen.replies.push([method, path, reply.status, await reply.json()]);
    }

    /** Wait until this many messages of a channel have arrived. */
    messages(channel, count) {
        return within(new Promise(resolve => {
            this.waiting = () => (this.seen.messages[channel]?.length ?? 0) >= count && resolve();
            this.waiting();
        }), `${this.name}: message ${count} of ${channel}`);
    }
}

function within(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: nothing within ${PATIENCE} ms`)), PATIENCE);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Faye's client; it shakes hands over HTTP and may go on over a WebSocket. */
function fayeConnection(user, transport) {
    const faye = require('faye');
    const client = new faye.Client(`${base}/faye`);
    client.setHeader('Authorization', `Bearer ${user.token}`);
    if (transport === 'polling') {
        client.disable('websocket');
    }
    return {
        subscribe: channel => client.subscribe(channel, data => user.receive(channel, data)),
        publish: (channel, data) => client.publish(channel, data),
        disconnect: () => client.disconnect(),
    };
}

/** npm's cometd over a WebSocket that sends no header of the user: the token is in the handshake. */
async function cometdConnection(user) {
    const {adapt} = await import('cometd-nodejs-client');
    adapt();
    const {CometD} = await import('cometd-9');
    const cometd = new CometD(user.name);
    cometd.unregisterTransport('long-polling');
    cometd.unregisterTransport('callback-polling');
    cometd.configure({url: `${base}/faye`, logLevel: 'warn'});
    const succeed = call => new Promise((resolve, reject) => call(reply => {
        return reply.successful ? resolve() : reject(new Error(JSON.stringify(reply)));
    }));
    await succeed(done => cometd.handshake({ext: {Authorization: `Bearer ${user.token}`}}, done));
    return {
        subscribe: channel => succeed(done => cometd.subscribe(channel, ({data}) => user.receive(channel, data), done)),
        publish: (channel, data) => succeed(done => cometd.publish(channel, data, done)),
        disconnect: () => succeed(done => cometd.disconnect(done)),
    };
}

async function useBoard(connect) {
    const [alice, bob] = Object.keys(tokens).map(name => new User(name));
    const connections = [];
    for (const user of [alice, bob]) {
        const connection = await connect(user);
        connections.push(connection);
        for (const channel of [`/tasks/${user.name}`, '/news', '/chat']) {
            await within(connection.subscribe(channel), `${user.name}: subscribe ${channel}`);
        }
        await user.send('GET', '/me');
    }
    await Promise.all([alice, bob].map(async user => {
        for (const priority of [1, 2, 3]) {
            await user.send('POST', '/tasks', {agentId: user.name, priority});
            await user.messages(`/tasks/${user.name}`, priority);
        }
    }));
    await alice.send('POST', '/announcements', {topic: 'lunch'});
    await Promise.all([alice, bob].map(user => user.messages('/news', 1)));
    await connections[1].publish('/chat', {line: 'on my way'});
    await Promise.all([alice, bob].map(user => user.messages('/chat', 1)));
    await Promise.all(connections.map(connection => connection.disconnect()));
}

/** jsforce: its REST calls say `Bearer`, its Streaming client says `OAuth`. */
async function useSalesforce() {
    const {Connection} = require('jsforce');
    await Promise.all(Object.keys(tokens).map(async name => {
        const user = new User(name);
        const connection = new Connection({instanceUrl: base, accessToken: user.token, version: '50.0'});
        const topic = `Accounts-${name}`;
        await within(connection.streaming.topic(topic).subscribe(data => user.receive(topic, data)), `${name}: subscribe`);
        user.seen.replies.push(await connection.query(`SELECT Id FROM Account WHERE OwnerId = '${name}'`));
        for (const [count, Rating] of ['Hot', 'Warm', 'Cold'].entries()) {
            user.seen.replies.push(await connection.sobject('Account').create({OwnerId: name, Rating}));
            await user.messages(topic, count + 1);
        }
    }));
}

const uses = {
    'faye-polling': () => useBoard(user => fayeConnection(user, 'polling')),
    'faye-websocket': () => useBoard(user => fayeConnection(user, 'websocket')),
    'cometd-websocket': () => useBoard(cometdConnection),
    jsforce: useSalesforce,
};

uses[library]().then(() => {
    console.log(JSON.stringify(printed));
    process.exit(0);
}, error => {
    console.error(`push client: ${error.message}`);
    console.error(JSON.stringify(printed));
    process.exit(1);
});
