// A client on npm's `cometd` that requests statistics after each handshake, and prints each event as a line of JSON.
//
//     node phoenix.mjs BASE-URL

import {adapt} from 'cometd-nodejs-client';

const base = process.argv[2];
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
const {CometD} = (await import('cometd-3')).default;

function printEvent(what) {
    process.stdout.write(JSON.stringify({node: (cookies.get('JSESSIONID') || '').split('.').pop(), ...what}) + '\n');
}

async function sendRequest() {
    const headers = {Cookie: [...cookies.values()].join('; '), 'Content-Type': 'application/json'};
    const body = JSON.stringify({operationName: 'RequestAgentStats', workbinType: 'Place', workbinOwner: 'Place1'});
    await fetch(`${base}/api/v2/workbins`, {method: 'POST', headers, body});
}

const cometd = new CometD();
cometd.unregisterTransport('websocket');
cometd.unregisterTransport('callback-polling');
cometd.configure({url: `${base}/api/v2/notifications`, logLevel: 'error', backoffIncrement: 100});

let subscription;
cometd.addListener('/meta/handshake', ({successful}) => {
    printEvent({saw: 'handshake', successful});
    if (!successful) {
        return;
    }
    subscription = subscription
        ? cometd.resubscribe(subscription)
        : cometd.subscribe('/v2/me/workbins', ({data}) => printEvent({saw: 'message', type: data.messageType}));
    sendRequest();
});
cometd.addListener('/meta/connect', ({successful, error, advice}) => {
    if (!successful) {
        printEvent({saw: 'refusal', error, advice: advice && advice.reconnect});
    }
});
cometd.handshake();
