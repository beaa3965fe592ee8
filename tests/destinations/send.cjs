// Runs calls through Segment's own destination code, and prints the requests that each destination would get of each.
//
//     node send.cjs < {"destinations": [...], "calls": [...]} > {"amplitude": [...]}
//
// A destination is {name, slug, settings, mappings}. `mappings` null takes the presets, which Segment creates with the
// destination; else each {action, subscribe, mapping} is one that a user adds: without `subscribe` the action's default
// trigger, and `mapping` on top of the action's default fields. Nothing leaves the machine.
'use strict'

const nock = require('nock')

// What every destination takes for success, ids where one asks for them.
const ANSWER = { id: '1', data: { id: '1' }, code: 0, status: 'success', success: true, results: [], total_count: 0 }
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

let requests = []
nock.disableNetConnect()
for (const method of METHODS) {
  nock(/.*/)
    .persist()
    .intercept(/.*/, method)
    .reply(function (path, body) {
      requests.push({ method, url: `https://${this.req.headers.host}${path}`, body })
      return [200, ANSWER]
    })
}

const { Destination } = require('@segment/actions-core')

function mappingsOf(definition, given) {
  const { actions, presets } = definition
  const presented = () =>
    presets
      .filter((preset) => preset.type === 'automatic' && preset.partnerAction in actions)
      .map(({ partnerAction, subscribe, mapping }) => ({ action: partnerAction, subscribe, mapping }))
  const added = () =>
    given.map(({ action, subscribe, mapping }) => {
      const defaults = Object.entries(actions[action].fields).map(([name, field]) => [name, field.default])
      const known = Object.fromEntries(defaults.filter(([, value]) => value !== undefined))
      return { action, subscribe: subscribe ?? actions[action].defaultSubscription, mapping: { ...known, ...mapping } }
    })
  return (given === null ? presented() : added()).map(({ action, subscribe, mapping }) => ({
    partnerAction: action,
    subscribe,
    mapping: { __segment_internal_sync_mode: actions[action].syncMode?.default, ...mapping },
  }))
}

async function sent(destination, mapping, call, settings) {
  requests = []
  let refused = null
  try {
    const results = await destination.onSubscription(mapping, call, settings, {}, {})
    if (results.some((result) => result.output === 'not subscribed')) return null
  } catch (error) {
    const failures = error.name === 'AggregateAjvError' ? [...error].map((each) => each.message) : [error.message]
    refused = failures.join('; ')
  }
  return { action: mapping.partnerAction, refused, requests }
}

async function main() {
  const chunks = []
  for await (const chunk of process.stdin) chunks.push(chunk)
  const { destinations, calls } = JSON.parse(Buffer.concat(chunks).toString('utf-8'))
  const found = {}
  for (const { name, slug, settings, mappings } of destinations) {
    const definition = require(`@segment/action-destinations/dist/destinations/${slug}`).default
    const destination = new Destination(definition)
    const chosen = mappingsOf(definition, mappings)
    found[name] = []
    for (const call of calls) {
      // As Segment hands it on, received at the moment that it tells of.
      const received = { ...call, originalTimestamp: call.timestamp, sentAt: call.timestamp, receivedAt: call.timestamp }
      for (const mapping of chosen) {
        const one = await sent(destination, mapping, received, settings)
        if (one) found[name].push({ messageId: call.messageId, ...one })
      }
    }
  }
  process.stdout.write(JSON.stringify(found))
}

main()
