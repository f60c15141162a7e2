// An SMSC by node-smpp: what it is sent it tells on standard output, what it is to do it is told on standard input, a
// line of JSON each. `--key FILE --cert FILE`: by TLS.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [modules, ...options] = process.argv.slice(2);
const smpp = createRequire(`${modules}/`)("smpp");
const option = (name) => (options.includes(name) ? readFileSync(options[options.indexOf(name) + 1]) : undefined);
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

let session, // the last one that was bound
  throttled = 0, // so many of the next messages are refused so
  status = 0, // of the next message
  serial = 0;

function bound(one) {
  one.on("error", (fault) => tell({ fault: String(fault) }));
  one.on("bind_transceiver", (pdu) => {
    const right = pdu.system_id === "dialer" && pdu.password === "secret";
    one.send(pdu.response({ command_status: right ? 0 : smpp.ESME_RBINDFAIL, system_id: "smsc" }));
    if (!right) return one.close();
    session = one;
    tell({ bound: pdu.system_id, type: pdu.system_type });
  });
  one.on("submit_sm", (pdu) => {
    if (throttled > 0) {
      throttled -= 1;
      tell({ throttled: pdu.destination_addr });
      return one.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    }
    const refused = status;
    status = 0;
    const id = `m${(serial += 1)}`;
    tell({
      id,
      refused,
      to: pdu.destination_addr,
      from: pdu.source_addr,
      ton: [pdu.source_addr_ton, pdu.dest_addr_ton],
      coding: pdu.data_coding,
      receipt: pdu.registered_delivery,
      udh: pdu.short_message.udh ? [...pdu.short_message.udh[0] ? pdu.short_message.udh : []].map((e) => [...e]) : null,
      text: pdu.short_message.message,
    });
    one.send(pdu.response({ command_status: refused, message_id: refused ? "" : id }));
  });
  one.on("enquire_link", (pdu) => one.send(pdu.response()));
  one.on("deliver_sm_resp", (pdu) => tell({ taken: pdu.command_status }));
  one.on("unbind", (pdu) => {
    one.send(pdu.response());
    one.close();
    tell({ unbound: true });
  });
  one.on("close", () => tell({ closed: true }));
}

const server = smpp.createServer({ key: option("--key"), cert: option("--cert"), tls: options.length > 0 }, bound);
server.listen(0, "127.0.0.1", () => tell({ port: server.address().port }));

createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  if (order.throttle) throttled = order.throttle;
  if (order.refuse) status = order.refuse;
  if (order.deliver) session.deliver_sm(order.deliver);
  if (order.drop) session.destroy ? session.destroy() : session.socket.destroy();
}).on("close", () => process.exit(0));
