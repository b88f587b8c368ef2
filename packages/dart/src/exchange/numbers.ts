// Lists of numbers of one type, in a document that is written as text or as bytes.

/** Markers of UBJSON: float32, int32, int64, uint8. */
type NumberType = 'd' | 'l' | 'L' | 'U'

/** Numbers of one type. As UBJSON they stand packed, or each behind its marker where a reader takes no other list. */
export class Numbers {
  readonly type: NumberType
  readonly values: readonly number[]
  readonly each: boolean

  constructor(type: NumberType, values: Iterable<number>, each = false) {
    this.type = type
    this.values = Array.from(values)
    this.each = each
  }

  static each(type: NumberType, values: Iterable<number>): Numbers {
    return new Numbers(type, values, true)
  }

  /**
   * As text. Float32 numbers as XGBoost's reader needs them: nine digits, which name each float32 (of seventeen it may make a
   * neighbour, and a row on a threshold goes astray), and with a point or an exponent, for it reads '1' as an integer only.
   */
  toJson(): string {
    const float = (value: number): string => {
      const short = String(Number(Math.fround(value).toPrecision(9)))
      return /^-?\d+$/.test(short) ? `${short}.0` : short
    }
    return `[${this.values.map(this.type === 'd' ? float : String).join(',')}]`
  }
}
