'use strict';
// When the stand-in answers. Every delay comes from the seed and from what was asked (the how-many-th time),
// never from when it was asked, so that two runs of the same workload are delayed alike. The notification and
// the HTTP reply race in both directions, as they do on the real thing.

const crypto = require('crypto');

/** A number in [0, 1) that only the words decide. */
function drawn(...words) {
    return crypto.createHash('sha256').update(words.join('\n')).digest().readUInt32BE(0) / 2 ** 32;
}

class Jitter {
    constructor(seed) {
        this.seed = seed;
        this.times = new Map();
    }

    /** Milliseconds until the HTTP reply and until the first notification, for a session asking this. */
    next(sessionId, question) {
        const key = sessionId + '\n' + question;
        const nth = (this.times.get(key) || 0) + 1;
        this.times.set(key, nth);
        const notification = 10 + 150 * Math.floor(3 * drawn(this.seed, question, nth, 'notification'));
        const reply = 35 + 50 * Math.floor(3 * drawn(this.seed, question, nth, 'reply'));
        return {reply, notification};
    }
}

/** Reference ids as observed: chosen by the server, increasing, beginning anywhere, skipping some. */
class References {
    constructor(seed) {
        this.seed = seed;
        this.last = 40 + Math.floor(40 * drawn(seed, 'first reference'));
    }

    next() {
        this.last += 1 + Math.floor(3 * drawn(this.seed, 'step', this.last));
        return this.last;
    }
}

module.exports = {Jitter, References};
