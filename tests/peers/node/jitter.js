'use strict';
// Delays of the stand-in. Each delay depends on the seed, the request and the number of its repetitions, and not on
// the time, so that two runs of the same workload have the same delays. A notification may precede or follow its
// HTTP reply, as on the real server.

const crypto = require('crypto');

/** Return a number in [0, 1) that depends only on the words. */
function hashedNumber(...words) {
    return crypto.createHash('sha256').update(words.join('\n')).digest().readUInt32BE(0) / 2 ** 32;
}

class Jitter {
    constructor(seed) {
        this.seed = seed;
        this.times = new Map();
    }

    /** Return the milliseconds until the HTTP reply and the first notification for a request of a session. */
    next(sessionId, request) {
        const key = sessionId + '\n' + request;
        const nth = (this.times.get(key) || 0) + 1;
        this.times.set(key, nth);
        const notification = 10 + 150 * Math.floor(3 * hashedNumber(this.seed, request, nth, 'notification'));
        const reply = 35 + 50 * Math.floor(3 * hashedNumber(this.seed, request, nth, 'reply'));
        return {reply, notification};
    }
}

/** Reference ids as observed: chosen by the server, increasing from any number, with gaps. */
class References {
    constructor(seed) {
        this.seed = seed;
        this.last = 40 + Math.floor(40 * hashedNumber(seed, 'first reference'));
    }

    next() {
        this.last += 1 + Math.floor(3 * hashedNumber(this.seed, 'step', this.last));
        return this.last;
    }
}

module.exports = {Jitter, References};
