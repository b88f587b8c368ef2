// What is open at the moment. A Set would do, were it not for the garbage collector: a Set that comes and goes replaces its table
// every few members, and V8's replaced tables keep pointing to the next one and to what was in them. Once one of them has
// become old, everything that ever was in a later one seems to be alive when young objects are collected, and becomes old too.

/** A member says itself where it is, so that it is found at once. */
export interface BagMember {
  /** -1: nowhere. */
  place: number
}

/** A set of members that are in one bag at most. Cost: O(1) to add, delete and find. */
export class Bag<T extends BagMember> implements Iterable<T> {
  readonly #members: T[] = []

  get size(): number {
    return this.#members.length
  }

  has(member: T): boolean {
    return this.#members[member.place] === member
  }

  add(member: T): void {
    if (this.has(member)) return
    member.place = this.#members.length
    this.#members.push(member)
  }

  delete(member: T): void {
    if (!this.has(member)) return
    const last = this.#members.pop() as T
    if (last !== member) {
      this.#members[member.place] = last
      last.place = member.place
    }
    member.place = -1
  }

  /** Those that are in it now, in any order, whatever becomes of them meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return this.#members.slice().values()
  }
}
