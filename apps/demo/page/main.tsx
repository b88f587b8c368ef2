import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import './style.css'

createRoot(document.getElementById('page') as HTMLElement).render(<App />)
