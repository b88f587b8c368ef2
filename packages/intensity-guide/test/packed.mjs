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
}
