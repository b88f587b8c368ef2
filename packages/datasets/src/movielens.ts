// MovieLens latest-small: ratings, and movies with their genres as bags.
import { corrupt } from './internal/corrupt.ts'
import { csvRecords } from './internal/csv.ts'
import type { Source } from './internal/source.ts'
import { locate } from './locate.ts'
import { finite } from './table.ts'
import type { ReadSetOptions } from './tabularSets.ts'

export interface MovieLens {
  /** Ratings in the file's order: by user, then movie. */
  readonly rows: number
  /** Index into `userIds`. */
  readonly user: Int32Array
  /** Index into `movies`. */
  readonly movie: Int32Array
  /** 0.5 to 5 in steps of 0.5. */
  readonly rating: Float32Array
  /** Seconds since 1970, UTC. */
  readonly timestamp: Int32Array
  readonly userIds: Int32Array
  readonly movies: {
    readonly ids: Int32Array
    readonly titles: readonly string[]
    /** Genres of movie m: `genres[genreOffsets[m]] .. genres[genreOffsets[m + 1] - 1]`, indices into `genreNames`. */
    readonly genres: Int32Array
    readonly genreOffsets: Int32Array
    readonly genreNames: readonly string[]
  }
}

const READER = 'readMovieLens'
const NO_GENRE = '(no genres listed)'

/** Reads both files of the set. */
export async function readMovieLens(options: ReadSetOptions = {}): Promise<MovieLens> {
  const set = options.set ?? locate('movielens-latest-small')
  return readMovieLensFiles({ ratings: set.source('ratings.csv'), movies: set.source('movies.csv') })
}

/**
 * Reads `userId,movieId,rating,timestamp` and `movieId,title,genres`.
 *
 * @throws FtError `IO`, or `CORRUPT_DATA` naming the line: unknown or repeated movies, ratings off the scale
 */
export async function readMovieLensFiles(o: { readonly ratings: Source; readonly movies: Source }): Promise<MovieLens> {
  const { movies, indexOf } = await readMovies(o.movies)
  const user: number[] = []
  const movie: number[] = []
  const rating: number[] = []
  const timestamp: number[] = []
  const users = new Map<number, number>()
  for await (const { cells, wrong } of recordsOf(o.ratings, 'userId,movieId,rating,timestamp')) {
    const [userId, movieId, , seconds] = cells.map(whole) as [number, number, number, number]
    const stars = finite(cells[2]!) ?? NaN
    const m = indexOf.get(movieId)
    if (m === undefined) throw wrong('a movie of movies.csv')
    if (!(stars >= 0.5 && stars <= 5 && Number.isInteger(stars * 2))) throw wrong('a rating of 0.5, 1, ..., 5')
    if (!(userId >= 0 && seconds >= 0 && seconds < 2 ** 31)) throw wrong('a user number and seconds since 1970')
    if (!users.has(userId)) users.set(userId, users.size)
    user.push(users.get(userId)!)
    movie.push(m)
    rating.push(stars)
    timestamp.push(seconds)
  }
  return {
    rows: user.length,
    user: Int32Array.from(user),
    movie: Int32Array.from(movie),
    rating: Float32Array.from(rating),
    timestamp: Int32Array.from(timestamp),
    userIds: Int32Array.from(users.keys()),
    movies,
  }
}

async function readMovies(source: Source): Promise<{ movies: MovieLens['movies']; indexOf: Map<number, number> }> {
  const indexOf = new Map<number, number>()
  const titles: string[] = []
  const bags: string[][] = []
  for await (const { cells, wrong } of recordsOf(source, 'movieId,title,genres')) {
    const id = whole(cells[0]!)
    if (!(id >= 0) || indexOf.has(id)) throw wrong('a new movie number')
    if (cells[2] === '') throw wrong('genres')
    indexOf.set(id, titles.length)
    titles.push(cells[1]!)
    bags.push(cells[2] === NO_GENRE ? [] : cells[2]!.split('|'))
  }
  const genreNames = [...new Set(bags.flat())].sort()
  const code = new Map(genreNames.map((name, i) => [name, i]))
  const genreOffsets = new Int32Array(bags.length + 1)
  for (const [m, bag] of bags.entries()) genreOffsets[m + 1] = genreOffsets[m]! + bag.length
  const genres = Int32Array.from(bags.flat(), (name) => code.get(name)!)
  return { movies: { ids: Int32Array.from(indexOf.keys()), titles, genres, genreOffsets, genreNames }, indexOf }
}

/** Records after a header that must be there, with an error that names the line. */
async function* recordsOf(
  source: Source,
  header: string,
): AsyncGenerator<{ cells: readonly string[]; wrong: (expected: string) => Error }, void, undefined> {
  let seen = 0
  for await (const { cells, line } of csvRecords(source, READER)) {
    const wrong = (expected: string) =>
      corrupt({ reader: READER, source, where: `line ${line}`, expected, got: cells.join() })
    if (seen++ > 0) yield { cells, wrong }
    else if (cells.join() !== header) throw wrong(header)
  }
  if (seen < 2) throw corrupt({ reader: READER, source, where: 'its end', expected: 'at least one row', got: 'none' })
}

const whole = (text: string): number => (/^\d{1,10}$/.test(text) ? Number(text) : NaN)
