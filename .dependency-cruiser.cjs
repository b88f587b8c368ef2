// Who may import whom (ARCHITECTURE.md): shared packages below, techniques beside each other, apps on top.
const techniques = 'abft-kernels|intensity-guide|parm|ecrm|dart'
/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'techniques-never-import-each-other',
      severity: 'error',
      from: { path: `^packages/(${techniques})/(src|assembly)` },
      to: { path: `^packages/(${techniques})/`, pathNot: '^packages/$1/' },
    },
    {
      name: 'core-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^packages/core/src' },
      to: { path: '^packages/(?!core/)' },
    },
    {
      name: 'shared-packages-import-only-core',
      severity: 'error',
      from: { path: '^packages/(tensor-core|onnx|report|datasets)/src' },
      to: { path: '^packages/', pathNot: ['^packages/$1/', '^packages/core/'] },
    },
    {
      name: 'datasets-are-for-tests-and-apps',
      severity: 'error',
      from: { path: '^packages/[^/]+/src', pathNot: '^packages/datasets/' },
      to: { path: '^packages/datasets/' },
    },
    { name: 'nobody-imports-an-app', severity: 'error', from: { path: '^packages/' }, to: { path: '^apps/' } },
    {
      name: 'src-never-imports-tests',
      severity: 'error',
      from: { path: '/src/' },
      to: { path: '/(test|examples|bench)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|node_modules|generated)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      conditionNames: ['ft-source', 'import', 'require', 'node', 'default', 'types'],
      exportsFields: ['exports'],
    },
  },
}
