// kafkajs, in the words of contract.py. The codecs that it lacks come from the packages that its documentation has plugins for:
// kafkajs-snappy; lz4js and zstd-wasm, which need no compiler.
'use strict'

const fs = require('fs')
const readline = require('readline')
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')
const lz4 = require('lz4js')
const zstd = require('@bokuweb/zstd-wasm')

// A command that takes longer has failed.
const PATIENCE_MS = 60000

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(lz4.decompress(buffer)),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
})
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}
// A fetch that finds nothing holds up the end of a consumer for as long.
const WAIT_MS = 300
// Bytes of one produce request: kafkajs makes one batch of what it is given at once.
const BATCH_BYTES = 500000

const tell = line => process.stdout.write(JSON.stringify(line) + '\n')
const kafka = command =>
  new Kafka({
    brokers: command.bootstrap.split(','),
    logCreator: () => ({ log }) => process.stderr.write(JSON.stringify(log) + '\n'),
    logLevel: logLevel.WARN,
  })

function lines(path) {
  const bytes = fs.readFileSync(path)
  const found = []
  for (let start = 0; start < bytes.length; ) {
    const [tab, end] = [bytes.indexOf(9, start), bytes.indexOf(10, start)]
    found.push({ key: bytes.subarray(start, tab), value: bytes.subarray(tab + 1, end) })
    start = end + 1
  }
  return found
}

async function produce(command) {
  const options = command.idempotent ? { idempotent: true, maxInFlightRequests: 1 } : {}
  const producer = kafka(command).producer(options)
  await producer.connect()
  const all = lines(command.file)
  let [batch, size] = [[], 0]
  const flush = async () => {
    if (batch.length > 0) {
      await producer.send({ topic: command.topic, acks: -1, compression: CODECS[command.codec], messages: batch })
    }
    ;[batch, size] = [[], 0]
  }
  for (const { key, value } of all) {
    if (size + value.length > BATCH_BYTES) await flush()
    batch.push({ key, value, partition: command.partition })
    size += value.length
  }
  await flush()
  await producer.disconnect()
  return { count: all.length }
}

// kafkajs reads only as a member of a group: one of its own, sought to the offset, with the other partitions paused.
async function consume(command) {
  const consumer = kafka(command).consumer({
    groupId: `none-${process.pid}-${Date.now()}`,
    maxWaitTimeInMs: WAIT_MS,
  })
  const parts = []
  let [seen, limit] = [0, null]
  await consumer.connect()
  await consumer.subscribe({ topic: command.topic, fromBeginning: true })
  try {
    await new Promise((resolve, reject) => {
      limit = setTimeout(() => reject(new Error(`${seen} of ${command.count} records in time`)), PATIENCE_MS)
      consumer.on(consumer.events.CRASH, event => reject(event.payload.error))
      const eachMessage = async ({ partition, message }) => {
        if (partition !== command.partition || seen === command.count) return
        parts.push(message.key, Buffer.from('\t'), message.value, Buffer.from('\n'))
        seen += 1
        if (seen === command.count) resolve()
      }
      consumer.run({ autoCommit: false, eachMessage }).catch(reject)
      if (command.offset !== 'beginning') {
        consumer.seek({ topic: command.topic, partition: command.partition, offset: String(command.offset) })
      }
    })
    fs.writeFileSync(command.file, Buffer.concat(parts))
  } finally {
    clearTimeout(limit)
    await consumer.disconnect()
  }
}

async function member(command, told) {
  if (command.instance) return tell({ unsupported: 'kafkajs has no static membership' })
  const consumer = kafka(command).consumer({
    groupId: command.group,
    sessionTimeout: command.session_ms,
    heartbeatInterval: 500,
    maxWaitTimeInMs: WAIT_MS,
  })
  const next = new Map()
  const failed = new Promise((_, reject) => consumer.on(consumer.events.CRASH, event => reject(event.payload.error)))
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
    tell({ event: 'assigned', partitions: payload.memberAssignment[command.topic] || [] }))
  consumer.on(consumer.events.REBALANCING, () => tell({ event: 'assigned', partitions: [] }))
  await consumer.connect()
  await consumer.subscribe({ topic: command.topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      next.set(partition, String(BigInt(message.offset) + 1n))
      tell({ event: 'record', partition, offset: Number(message.offset) })
    },
  })
  const obey = async () => {
    for await (const line of told) {
      if (JSON.parse(line).op === 'close') break
      await consumer.commitOffsets([...next].map(([partition, offset]) => ({ topic: command.topic, partition, offset })))
      tell({ event: 'committed' })
    }
  }
  await Promise.race([obey(), failed])
  await consumer.disconnect()
  tell({ event: 'closed' })
}

const administration = {
  'topic-create': async (admin, { topic, partitions, configs }) => {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }] })
  },
  'topic-list': async admin => ({ topics: await admin.listTopics() }),
  'topic-describe': async (admin, { topic }) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return { partitions: topics[0].partitions.length }
  },
  'topic-delete': (admin, { topic }) => admin.deleteTopics({ topics: [topic] }),
  'partitions-create': async (admin, { topic, total }) => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: total }] })
  },
  'configs-describe': async (admin, { topic }) => {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
    const described = await admin.describeConfigs({ resources, includeSynonyms: false })
    const entries = described.resources[0].configEntries
    return { configs: Object.fromEntries(entries.map(entry => [entry.configName, entry.configValue])) }
  },
  'configs-alter': async (admin, { topic, key, value }) => {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: key, value }] }]
    await admin.alterConfigs({ validateOnly: false, resources })
  },
  'offsets-list': async (admin, { topic, partition }) => {
    const found = (await admin.fetchTopicOffsets(topic)).find(each => each.partition === partition)
    return { earliest: Number(found.low), latest: Number(found.high) }
  },
  'groups-list': async admin => ({ groups: (await admin.listGroups()).groups.map(group => group.groupId) }),
  'group-describe': async (admin, { group }) => {
    const [described] = (await admin.describeGroups([group])).groups
    return { state: described.state, members: described.members.length }
  },
  'group-delete': async (admin, { group }) => void (await admin.deleteGroups([group])),
  'group-offsets': async (admin, { group, topic }) => {
    const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    const committed = found.partitions.filter(each => each.offset !== '-1')
    return { offsets: Object.fromEntries(committed.map(each => [each.partition, Number(each.offset)])) }
  },
  'group-offsets-alter': (admin, { group, topic, partition, offset }) =>
    admin.setOffsets({ groupId: group, topic, partitions: [{ partition, offset: String(offset) }] }),
  // It wants the topic's metadata loaded, which another call does.
  'records-delete': async (admin, { topic, partition, offset }) => {
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
  },
}

async function administer(command) {
  const admin = kafka(command).admin()
  await admin.connect()
  try {
    return await administration[command.op](admin, command)
  } finally {
    await admin.disconnect()
  }
}

const operations = {
  version: async () => ({ version: `kafkajs ${require('kafkajs/package.json').version}` }),
  produce,
  consume,
}

// Standard input is read line by line from one iterator, also when a member takes it over.
async function main() {
  await zstd.init()
  const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const rest = { [Symbol.asyncIterator]: () => input }
  for (let line = await input.next(); !line.done; line = await input.next()) {
    const command = JSON.parse(line.value)
    if (command.op === 'member') {
      await member(command, rest).catch(error => {
        tell({ event: 'error', error: `${error.name}: ${error.message}` })
        process.exitCode = 1
      })
      return process.exit()
    }
    try {
      tell({ ok: true, ...(await (operations[command.op] || administer)(command)) })
    } catch (error) {
      tell({ error: `${error.name}: ${error.message}` })
    }
  }
}

main()
