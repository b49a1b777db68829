// Deriv's own JavaScript client against the simulator: its plain calls, its subscriptions and its objects.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import WebSocket from 'ws';

const DerivAPI = createRequire(import.meta.url)('@deriv/deriv-api/dist/DerivAPI.js');
const DEADLINE_MS = 60_000;
const facts = JSON.parse(readFileSync(process.argv[2]));
const passed = [];
const complaints = [];
process.on('warning', (warning) => complaints.push(warning));
const deadline = setTimeout(() => { throw new Error('it took too long'); }, DEADLINE_MS);

const connection = new WebSocket(`${facts.deriv_url}?app_id=1089&l=EN&brand=`);
const api = new DerivAPI({ connection });
api.sanityErrors?.subscribe?.((error) => complaints.push(error));

async function call(name, request) {
  const answer = await api.basic[name](request);
  assert.equal(answer.error, undefined);
  assert.ok(answer.msg_type in answer, JSON.stringify(answer));
  passed.push(name);
  return answer[answer.msg_type];
}

// Resolves with the first message of an observable for which `wanted` holds.
function first(observable, wanted) {
  return new Promise((resolve, reject) => {
    const subscription = observable.subscribe((message) => {
      if (wanted(message)) {
        resolve(message);
        setTimeout(() => subscription.unsubscribe());
      }
    }, reject);
  });
}

const minutesAgo = (minutes) => new Date(Date.now() - minutes * 60_000);

// --- plain calls ---------------------------------------------------------------------------------------------------

assert.equal(await call('ping'), 'pong');
assert.ok(await call('time') > 1_700_000_000);
assert.equal((await call('websiteStatus')).site_status, 'up');
assert.ok((await call('activeSymbols', { active_symbols: 'brief', product_type: 'basic' })).length > 10);
assert.ok((await call('contractsFor', { contracts_for: 'R_100' })).available.length > 0);
assert.ok((await call('tradingTimes', { trading_times: 'today' })).markets.length > 0);
assert.equal((await call('ticksHistory', { ticks_history: 'R_100', end: 'latest', count: 20 })).prices.length, 20);
assert.ok((await call('ticks', { ticks: 'R_50' })).quote > 0);

// Not its account object, which also asks for documents and settings: calls outside trading that are not simulated.
const account = await call('authorize', { authorize: facts.token });
assert.equal(account.loginid, (await call('balance')).loginid);
const opening = (await call('balance')).balance;

const up = { contract_type: 'MULTUP', currency: 'USD', symbol: '1HZ100V', amount: 10, basis: 'stake', multiplier: 100 };
const priced = await call('proposal', { proposal: 1, ...up });
const held = (await call('buy', { buy: priced.id, price: 10 })).contract_id;
assert.equal((await call('portfolio')).contracts.length, 1);
const open = api.basic.subscribe({ proposal_open_contract: 1, contract_id: held });
await first(open, (message) => message.proposal_open_contract.is_valid_to_sell === 1);
const limits = await call('contractUpdate', { contract_update: 1, contract_id: held, limit_order: { stop_loss: 5 } });
assert.equal(limits.stop_loss.order_amount, -5);
assert.ok((await call('contractUpdateHistory', { contract_update_history: 1, contract_id: held })).length > 0);
const sold = await call('sell', { sell: held, price: 0 });
assert.equal(sold.contract_id, held);
assert.equal((await call('profitTable', { profit_table: 1 })).transactions[0].contract_id, held);
const rows = (await call('statement', { statement: 1, description: 1 })).transactions;
assert.deepEqual(rows.slice(0, 2).map((row) => row.action_type), ['sell', 'buy']);
assert.ok(Math.abs(opening - 10 + sold.sold_for - (await call('balance')).balance) < 0.005);

// --- subscriptions and objects -------------------------------------------------------------------------------------

let seen = 0;
await first(api.basic.subscribe({ ticks: '1HZ100V' }), () => { seen += 1; return seen === 3; });
passed.push('subscribe ticks');
await first(
  api.basic.subscribe({ ticks_history: '1HZ75V', end: 'latest', count: 3, style: 'candles', granularity: 60 }),
  (message) => message.msg_type === 'ohlc',
);
passed.push('subscribe candles');
const ticks = await api.ticks('1HZ50V');
assert.ok((await first(ticks.onUpdate(), () => true)).quote);
assert.ok((await ticks.history({ start: minutesAgo(2), end: minutesAgo(1), count: 5 })).length >= 5);
passed.push('ticks object');
const candles = await api.candles({ symbol: '1HZ25V', granularity: 60 });
assert.ok((await candles.history({ start: minutesAgo(6), end: minutesAgo(1), count: 3 })).length >= 3);
passed.push('candles object');
const contract = await api.contract({
  contract_type: 'CALL', currency: 'USD', symbol: '1HZ10V', amount: 1, basis: 'stake', duration: 1, duration_unit: 't',
});
await contract.buy();
const over = await first(contract.onUpdate(), () => contract.is_sold || contract.status === 'won' || contract.status === 'lost');
assert.ok(over);
passed.push('contract object');

assert.ok(Array.isArray((await api.basic.forgetAll('ticks', 'candles', 'proposal_open_contract')).forget_all));
passed.push('forgetAll');
assert.equal(await call('logout'), 1);
assert.deepEqual(complaints, []);
console.log(`deriv-js: ${passed.length} calls of ${new Set(passed).size} kinds passed`);
clearTimeout(deadline);
connection.close();
setTimeout(() => process.exit(0), 100);
