// kafkajs.js BOOTSTRAP GROUP: a member, until it is killed.
const { Kafka, logLevel } = require('kafkajs')

const kafka = new Kafka({ clientId: 'byhand', brokers: [process.argv[2]], logLevel: logLevel.NOTHING })
const c = kafka.consumer({ groupId: process.argv[3], sessionTimeout: 6000, heartbeatInterval: 500 })
c.on(c.events.GROUP_JOIN, e => console.log('assigned', e.payload.memberAssignment.orders ?? []))

async function main () {
  await c.connect()
  await c.subscribe({ topics: ['orders'], fromBeginning: true })
  await c.run({
    autoCommitInterval: 500,
    eachMessage: async ({ partition, message }) => console.log(`${partition}@${message.offset} ${message.value}`)
  })
}
main()
