// Tensors whose array type is known, so that a reader's result needs no cast.
import type { Tensor } from '@ft/core'

/** A float32 tensor whose array type is known. */
export type FloatTensor = Tensor & { readonly data: Float32Array; readonly dtype: 'float32' }
/** A uint8 tensor whose array type is known. */
export type ByteTensor = Tensor & { readonly data: Uint8Array; readonly dtype: 'uint8' }
