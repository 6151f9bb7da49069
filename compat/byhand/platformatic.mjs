// platformatic.mjs BOOTSTRAP GROUP: a member by @platformatic/kafka, until it is killed.
import { Consumer, stringDeserializers } from '@platformatic/kafka'

const c = new Consumer({
  clientId: 'byhand', groupId: process.argv[3], bootstrapBrokers: [process.argv[2]], deserializers: stringDeserializers,
  sessionTimeout: 6000, heartbeatInterval: 500
})
let had
setInterval(() => {
  const has = JSON.stringify((c.assignments ?? []).flatMap(a => a.partitions))
  if (has !== had) console.log('assigned', has)
  had = has
}, 100)
const stream = await c.consume({ topics: ['orders'], mode: 'committed', fallbackMode: 'earliest', autocommit: 500 })
stream.on('data', m => console.log(`${m.partition}@${m.offset} ${m.value}`))
