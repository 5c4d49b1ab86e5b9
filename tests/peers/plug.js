// A simulated TP-Link plug: node plug.js NODE_MODULES PORT MODEL, until it is killed.
const [, , modules, port, model] = process.argv;
const { Device } = require(`${modules}/tplink-smarthome-simulator`);

new Device({
  port: Number(port),
  address: '127.0.0.1',
  model,
  data: { alias: 'peer', mac: '50:c7:bf:0d:91:8c', deviceId: 'A110' },
}).start();
