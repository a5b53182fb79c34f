// What test_interop.py asks of every client, said by ssh2 of npm.
'use strict';
const fs = require('fs');
const { Client } = require('ssh2');

const [port, username, key] = process.argv.slice(2);
const client = new Client();

function fail(problem) {
  console.error(String(problem));
  process.exit(1);
}

// Starts `command`; .end resolves to what it said and how it ended.
function start(command) {
  return new Promise((resolve, reject) => {
    client.exec(command, (problem, stream) => {
      if (problem) return reject(problem);
      let out = '', err = '', code;
      stream.on('data', (data) => { out += data; });
      stream.stderr.on('data', (data) => { err += data; });
      stream.on('exit', (status) => { code = status; });
      const end = new Promise((done) => {
        stream.on('close', () => done({ out: out.trim(), err: err.trim(), code }));
      });
      resolve({ stream, end });
    });
  });
}

async function run() {
  let got = await (await start('echo out; echo err >&2; exit 7')).end;
  console.log(`exec ${got.out} ${got.err} ${got.code}`);

  let running = await start('sha256sum');
  running.stream.end('x'.repeat(1 << 20));
  got = await running.end;
  console.log(`stdin ${got.out.slice(0, 64)} ${got.code}`);

  const all = await Promise.all([0, 1, 2, 3, 4].map((i) => start(`cat; exit ${i}`)));
  let line = 'channels';
  for (let i = 4; i >= 0; i--) {
    all[i].stream.end(`n${i}`);
    got = await all[i].end;
    line += ` ${got.out}=${got.code}`;
  }
  console.log(line);

  await new Promise((resolve) => {
    client.forwardOut('127.0.0.1', 1, '127.0.0.1', 22, (problem) => (problem ? resolve() : fail('not refused')));
  });
  await new Promise((resolve) => {
    client.forwardIn('127.0.0.1', 0, (problem) => (problem ? resolve() : fail('not refused')));
  });
  got = await (await start('echo alive')).end;
  console.log(`refused, ${got.out}`);
  client.end();
}

client.on('ready', () => run().catch(fail)).on('error', fail);
client.connect({ host: '127.0.0.1', port: Number(port), username, privateKey: fs.readFileSync(key) });
