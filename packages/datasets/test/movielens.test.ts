import { describe, expect, it } from 'vitest'
import { readMovieLensFiles } from '../src/index.ts'
import { bytesOf, messageOf, outcome } from './helpers/damage.ts'

const MOVIES = `movieId,title,genres
5,"Comma, The (1999)",Comedy|Action
9,Nothing (2001),(no genres listed)
2,Third (2000),Drama
`
const RATINGS = `userId,movieId,rating,timestamp
4,9,0.5,964982703
4,5,5.0,964981247
1,5,3.5,1537109082
`
const read = (ratings: string, movies = MOVIES) =>
  readMovieLensFiles({ ratings: bytesOf(ratings), movies: bytesOf(movies) })

describe('readMovieLensFiles', () => {
  it('numbers users and movies, and keeps genres as bags', async () => {
    expect(await read(RATINGS)).toEqual({
      rows: 3,
      user: Int32Array.of(0, 0, 1),
      movie: Int32Array.of(1, 0, 0),
      rating: Float32Array.of(0.5, 5, 3.5),
      timestamp: Int32Array.of(964982703, 964981247, 1537109082),
      userIds: Int32Array.of(4, 1),
      movies: {
        ids: Int32Array.of(5, 9, 2),
        titles: ['Comma, The (1999)', 'Nothing (2001)', 'Third (2000)'],
        genres: Int32Array.of(1, 0, 2),
        genreOffsets: Int32Array.of(0, 2, 2, 3),
        genreNames: ['Action', 'Comedy', 'Drama'],
      },
    })
  })

  it('reads the line ends of the original alike', async () => {
    const crlf = (text: string) => text.replaceAll('\n', '\r\n')
    expect(await read(crlf(RATINGS), crlf(MOVIES))).toEqual(await read(RATINGS))
  })

  it.each([
    [RATINGS.replace('9,0.5', '8,0.5'), MOVIES, 'line 2: expected a movie of movies.csv'],
    [RATINGS.replace('0.5', '0.4'), MOVIES, 'line 2: expected a rating'],
    [RATINGS.replace('5.0', '5.5'), MOVIES, 'line 3: expected a rating'],
    [RATINGS.replace('1,5,3.5,1537109082', '1,5,3.5,9999999999'), MOVIES, 'line 4: expected a user number and seconds'],
    [RATINGS.replace('userId', 'user'), MOVIES, 'line 1'],
    ['userId,movieId,rating,timestamp\n', MOVIES, 'at least one row'],
    [RATINGS, MOVIES.replace('\n9,', '\n5,'), 'line 3: expected a new movie number'],
    [RATINGS, MOVIES.replace('Drama', ''), 'line 4: expected genres'],
    [RATINGS, '', 'at least one row'],
    [RATINGS, MOVIES.replace('"Comma', 'x"Comma'), 'does not parse'],
  ])('refuses %#', async (ratings, movies, message) => {
    expect(await outcome(read(ratings, movies))).toBe('CORRUPT_DATA')
    expect(await messageOf(read(ratings, movies))).toContain(message)
  })
})
