import { debuglog } from 'node:util';

/**
 * Prints to stderr with `NODE_DEBUG=express-referrals`: why a click was not counted, which touch won, each retry,
 * each lost connection. Does nothing without that variable.
 */
export const debug = debuglog('express-referrals');
