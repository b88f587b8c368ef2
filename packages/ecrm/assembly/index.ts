export { interact, interactBackward } from './interaction'
export { reluBackward } from './relu'
