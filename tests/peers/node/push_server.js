'use strict';
// A stand-in for applications that push through Faye's own Bayeux server: a task board, and the parts of Salesforce's
// REST and Streaming APIs that jsforce uses. A request belongs to the user of its Bearer token, which is
// `00D!USER.RANDOM`; the server sets no cookie.
//
//     node push_server.js [--port 0]
//
// Prints `listening on URL` when it is ready. Ends on SIGTERM or SIGINT.

const http = require('http');
const {parseArgs} = require('util');
const faye = require('faye');

const {values: options} = parseArgs({options: {port: {type: 'string', default: '0'}}});
const TASKS = {mount: '/faye', timeout: 25};
const STREAMING = {mount: '/cometd', timeout: 25};
const boards = new faye.NodeAdapter(TASKS);
const streaming = new faye.NodeAdapter(STREAMING);
let last = 40;

function publish(adapter, channel, data, after) {
    setTimeout(() => adapter.getClient().publish(channel, data), after);
}

const routes = {
    'GET /me': ({user}) => [200, {agentId: user}],
    // The result is pushed to the user alone, sometimes before the reply.
    'POST /tasks': ({user, body}) => {
        const referenceId = ++last;
        publish(boards, `/tasks/${user}`, {referenceId, taskId: `${user}-${body.priority}`, state: 'done'}, 60);
        return [200, {statusCode: 0, referenceId}];
    },
    // The result is pushed to everybody.
    'POST /announcements': ({body}) => {
        const referenceId = ++last;
        publish(boards, '/news', {referenceId, topic: body.topic}, 60);
        return [200, {statusCode: 0, referenceId}];
    },
    'GET /query': ({user, url}) => {
        const records = [{attributes: {type: 'Account'}, Id: `001-${user}`, Soql: url.searchParams.get('q')}];
        return [200, {totalSize: 1, done: true, records}];
    },
    // Salesforce gives the reply and the message no common reference except the id of the record.
    'POST /sobjects/Account': ({user, body}) => {
        const id = `001${user}${++last}`;
        const message = {event: {type: 'created', replayId: last}, sobject: {Id: id, Rating: body.Rating}};
        publish(streaming, `/topic/Accounts-${user}`, message, 60);
        return [201, {id, success: true, errors: []}];
    },
};

const server = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
        const url = new URL(request.url, 'http://127.0.0.1');
        const path = url.pathname.replace(/^\/services\/data\/v[\d.]+/, '').replace(/\/$/, '');
        const route = routes[`${request.method} ${path}`];
        const [, user] = /^(?:Bearer|OAuth) 00D!([a-z]+)\./.exec(request.headers.authorization || '') || [];
        const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
        const [status, reply] = !user ? [401, {error: 'no token'}] : route ? route({user, url, body}) : [404, {error: 'no such path'}];
        setTimeout(() => {
            response.writeHead(status, {'Content-Type': 'application/json;charset=UTF-8'});
            response.end(JSON.stringify(reply));
        }, 20);
    });
});
boards.attach(server);
streaming.attach(server);
server.listen(Number(options.port), '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => process.exit(0));
}
