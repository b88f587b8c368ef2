// The benches' entry: npm run bench -- NAME builds first.
import '../dist/main.js'
