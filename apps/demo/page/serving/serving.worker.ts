// Runs the simulation beside the page's own time, faster or slower, and tells what it looks like.
import type { Order, View } from './messages.ts'
import { createSimulation, type Simulation } from './simulation.ts'

const FRAME_MS = 50

let simulation: Simulation | undefined
let speed = 1
let broken: string | undefined

onmessage = ({ data }: MessageEvent<Order>) => {
  if (data.kind === 'start') {
    simulation = createSimulation(data.load)
    broken = undefined
  } else if (data.kind === 'speed') speed = data.speed
  else if (simulation) {
    simulation.breakOne(data.how)
    broken =
      data.how === 'stall' ? 'one worker of each cluster stopped for 2.5 s' : 'one worker of each cluster was killed'
  }
}

setInterval(() => {
  if (!simulation) return
  simulation.advanceTo(simulation.now() + FRAME_MS * speed)
  const view: View = { kind: 'view', seconds: simulation.now() / 1000, broken, clusters: simulation.view() }
  postMessage(view)
}, FRAME_MS)
