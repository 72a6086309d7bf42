'use strict';
// The official CometD server for Node.js, as the golden cases were recorded from it: timeout 2000 ms, maxInterval
// 1500 ms, the ack extension, and /service/push (tests/golden/README.md).
//
//     node golden_server.js [PORT]
//
// Prints its URL when it is ready. Ends on SIGTERM or SIGINT.

const http = require('http');
const {createCometDServer} = require('cometd-nodejs-server');
const {AcknowledgedMessagesExtension} = require('cometd-nodejs-server/ack-extension');

const cometd = createCometDServer({timeout: 2000, maxInterval: 1500});
cometd.addExtension(new AcknowledgedMessagesExtension());

function push(session, order) {
    const count = order.count || 1;
    const deliver = number => session.deliver(null, order.channel, count === 1 ? order.data : {...order.data, seq: number});
    const numbers = [...Array(count).keys()];
    if (order.gap) {
        numbers.forEach(number => setTimeout(() => deliver(number), (order.delay || 0) + number * order.gap));
        return;
    }
    const deliverAll = () => {
        if (order.batch) {
            session.batch(() => numbers.forEach(deliver));
        } else {
            numbers.forEach(deliver);
        }
    };
    later(order.delay, deliverAll);
}

function later(delay, action) {
    if (delay) {
        setTimeout(action, delay);
    } else {
        action();
    }
}

const channel = cometd.createServerChannel('/service/push');
channel.addListener('message', (session, _channel, message, callback) => {
    const order = message.data;
    if (order.kick) {
        later(order.delay, () => session.disconnect());
    } else {
        push(session, order);
    }
    callback();
});

const server = http.createServer(cometd.handle);
server.listen(Number(process.argv[2] || 0), '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${server.address().port}/cometd`);
});
