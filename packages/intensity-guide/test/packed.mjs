// Run by scripts/packed.mjs from a folder where the packed tarballs are installed, in both module forms.
export const checks = {
  'plans ResNet-50 on T4 as the paper does': async (load, assert) => {
    const { findDevice, parsePlan, planNetwork, savePlan, zoo } = await load('@ft/intensity-guide')
    const plan = planNetwork(zoo('resnet50', { resolution: [1080, 1920] }), { device: findDevice('t4') })
    assert.equal(plan.layers.filter((layer) => layer.scheme === 'thread-one-sided').length, 37)
    assert.deepEqual(parsePlan(savePlan(plan)), plan)
  },
  'an unknown device lists the known': async (load, assert) => {
    const { findDevice } = await load('@ft/intensity-guide')
    assert.throws(() => findDevice('abacus'), /known: t4/)
  },
  'reads a TensorFlow.js model and draws its report': async (load, assert) => {
    const { findDevice, planNetwork, planWithinBudget, readTfjs, tradeOffOf } = await load('@ft/intensity-guide')
    const { planReport } = await load('@ft/intensity-guide/report')
    const dense = { class_name: 'Dense', name: 'd', config: { units: 10, batch_input_shape: [null, 784] } }
    const network = readTfjs(JSON.stringify({ class_name: 'Sequential', config: { layers: [dense] } }), { batch: 64 })
    const device = findDevice('t4')
    const plan = planNetwork(network, { device, target: 'tfjs' })
    const budget = planWithinBudget(network, { device, target: 'tfjs', budget: 0.1 })
    const page = planReport(plan, { device, tradeOff: { ...budget, here: tradeOffOf(plan, { device }) } })
    assert.match(page, /Protection plan: model/)
    assert.equal(page.match(/<figure>/g).length, 4)
  },
}
